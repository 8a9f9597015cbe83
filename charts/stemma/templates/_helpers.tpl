{{/* Names */}}
{{- define "stemma.name" -}}
{{- $name := .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- if contains "stemma" $name }}{{ $name }}{{ else }}{{ $name }}-stemma{{ end -}}
{{- end }}

{{/* Labels of an object of a component: (dict "root" $ "component" "portal") */}}
{{- define "stemma.labels" -}}
{{ include "stemma.selector" . }}
app.kubernetes.io/part-of: stemma
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "stemma.selector" -}}
app.kubernetes.io/name: stemma
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of a pod: none that changes with the chart alone, which would end every pod, Ray's clusters and engines included. */}}
{{- define "stemma.podLabels" -}}
{{ include "stemma.selector" . }}
app.kubernetes.io/part-of: stemma
{{- with .root.Values.pods.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* An image: (dict "root" $ "image" "portal") */}}
{{- define "stemma.image" -}}
{{- $image := index .root.Values.image .image -}}
{{- $name := printf "%s/%s" .root.Values.image.registry $image.repository -}}
{{- if $image.digest }}{{ $name }}@{{ $image.digest }}{{ else }}{{ $name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end }}

{{/* A priority class: (list $ "interactive" own), where own is one that values name.  Classes are the cluster's, so that
     those of an installation bear its namespace, too. */}}
{{- define "stemma.priority" -}}
{{- $root := index . 0 -}}
{{- with index . 2 }}{{ . }}{{ else }}{{ if $root.Values.priorityClasses.create }}{{ printf "%s-%s-%s" $root.Release.Namespace (include "stemma.name" $root) (index . 1) }}{{ end }}{{ end -}}
{{- end }}

{{/* What every pod has beside its containers: (dict "root" $) */}}
{{- define "stemma.pod" -}}
{{- $pods := .root.Values.pods -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- if not $pods.hostUsers }}
hostUsers: false
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $pods.user }}
  runAsGroup: {{ $pods.user }}
  fsGroup: {{ $pods.user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with merge (dict) (.nodeSelector | default dict) $pods.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with concat (.tolerations | default list) $pods.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "stemma.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Names of Secrets */}}
{{- define "stemma.secret" -}}
{{ .Values.secrets.installation | default (printf "%s-installation" (include "stemma.name" .)) }}
{{- end }}
{{- define "stemma.keys" -}}
{{ .Values.secrets.keys | default (printf "%s-keys" (include "stemma.name" .)) }}
{{- end }}

{{/* Addresses */}}
{{- define "stemma.redis" -}}
{{ if eq .Values.redis.kind "bundled" }}{{ include "stemma.name" . }}-redis.{{ .Release.Namespace }}.svc:6379{{ else }}{{ .Values.redis.address }}{{ end }}
{{- end }}
{{- define "stemma.s3" -}}
{{ if eq .Values.s3.kind "bundled" }}{{ .Values.s3.endpoint | default (printf "http://%s-s3.%s.svc:8333" (include "stemma.name" .) .Release.Namespace) }}{{ else }}{{ .Values.s3.endpoint }}{{ end }}
{{- end }}
{{- define "stemma.mlflowUrl" -}}
{{ if .Values.mlflow.enabled }}http://{{ include "stemma.name" . }}-mlflow.{{ .Release.Namespace }}.svc:5000{{ else }}{{ .Values.mlflow.url }}{{ end }}
{{- end }}

{{/* One variable from the installation's Secret: (list $ "STEMMA_X" "entry") */}}
{{- define "stemma.secretEnv" -}}
- name: {{ index . 1 }}
  valueFrom: {secretKeyRef: {name: {{ include "stemma.secret" (index . 0) }}, key: {{ index . 2 }}}}
{{- end }}

{{/* Object storage, which all know */}}
{{- define "stemma.env" -}}
- {name: STEMMA_S3_ENDPOINT, value: {{ include "stemma.s3" . | quote }}}
- {name: STEMMA_S3_REGION, value: {{ .Values.s3.region | quote }}}
- {name: STEMMA_S3_BUCKET, value: {{ .Values.s3.bucket | quote }}}
{{ include "stemma.secretEnv" (list . "STEMMA_S3_ACCESS_KEY" "s3-access-key") }}
{{ include "stemma.secretEnv" (list . "STEMMA_S3_SECRET_KEY" "s3-secret-key") }}
- {name: STEMMA_MLFLOW_URL, value: {{ include "stemma.mlflowUrl" . | quote }}}
- {name: STEMMA_KEYS_DIR, value: /etc/stemma/keys}
{{- end }}

{{/* The portal's whole environment: portal, worker, clock and their jobs */}}
{{- define "stemma.portalEnv" -}}
{{ include "stemma.env" . }}
{{- if eq .Values.postgres.kind "cloudnativepg" }}
- name: STEMMA_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.postgres.cluster }}-app, key: uri}}
{{- else }}
{{ include "stemma.secretEnv" (list . "STEMMA_DATABASE_URL" "database-url") }}
{{- end }}
{{ include "stemma.secretEnv" (list . "STEMMA_REDIS_URL" "redis-url") }}
{{ include "stemma.secretEnv" (list . "STEMMA_SECRET_KEY" "secret-key") }}
- {name: STEMMA_PORTAL_URL, value: {{ .Values.portal.url | quote }}}
- {name: STEMMA_SERVING_URL, value: {{ .Values.serving.url | quote }}}
- name: STEMMA_ALLOWED_HOSTS
  value: {{ printf "localhost,%s,%s-portal,%s-portal.%s.svc%s" (urlParse .Values.portal.url).hostname (include "stemma.name" .) (include "stemma.name" .) .Release.Namespace (ternary (printf ",%s" .Values.portal.allowedHosts) "" (ne .Values.portal.allowedHosts "")) | quote }}
- {name: STEMMA_SIGN_UP, value: {{ .Values.portal.signUp | quote }}}
- {name: STEMMA_MAIL_FROM, value: {{ .Values.portal.mailFrom | quote }}}
- {name: STEMMA_WEBHOOK_PRIVATE_HOSTS, value: {{ .Values.portal.webhookPrivateHosts | quote }}}
- {name: STEMMA_SIGN_ON_PRIVATE_HOSTS, value: {{ .Values.portal.signOnPrivateHosts | quote }}}
{{- with .Values.secrets.mail }}
- name: STEMMA_SMTP_URL
  valueFrom: {secretKeyRef: {name: {{ . }}, key: smtp-url}}
{{- end }}
{{- end }}

{{/* Where a container of ours may write, and the keys it may read: (dict "root" $ "keys" "all|certificate|release|none") */}}
{{- define "stemma.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: keys, mountPath: /etc/stemma/keys, readOnly: true}
{{- end }}
{{- define "stemma.volumes" -}}
- name: tmp
  emptyDir: {}
- name: keys
  secret:
    secretName: {{ include "stemma.keys" .root }}
    defaultMode: 0440
    items:
      {{- range .roles }}
      - {key: {{ . }}.json, path: {{ . }}.json}
      {{- end }}
      {{- if has "release" .roles }}
      - {key: model-signing.pem, path: model-signing.pem}
      {{- end }}
      {{- range list "root.pem" "chain.pem" "leaf.key" }}
      - {key: content-{{ . }}, path: content/{{ . }}}
      {{- end }}
{{- end }}

{{/* Whether the database is migrated by a hook: before an upgrade, and before an installation on a database that is
     there.  A bundled one comes with the installation itself: then the job does, and the pods wait for it. */}}
{{- define "stemma.migratesFirst" -}}
{{- if or .Release.IsUpgrade (ne .Values.postgres.kind "bundled") }}true{{ end -}}
{{- end }}

{{/* Waits until the database is migrated to what this image knows. */}}
{{- define "stemma.waitForMigrations" -}}
- name: wait-for-migrations
  image: {{ include "stemma.image" (dict "root" . "image" "portal") }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [python, -m, stemma_portal, prepare, --wait]
  env: {{ include "stemma.portalEnv" . | nindent 4 }}
  {{ include "stemma.container" . | nindent 2 }}
  resources: {requests: {cpu: 20m, memory: 128Mi}, limits: {cpu: "1", memory: 384Mi}}
  volumeMounts: {{ include "stemma.mounts" . | nindent 4 }}
{{- end }}

{{/* Changes when what a pod reads at its start does */}}
{{- define "stemma.configChecksum" -}}
checksum/config: {{ list .Values.portal .Values.s3 .Values.redis .Values.postgres .Values.secrets .Values.mlflow.url | toJson | sha256sum | trunc 16 }}
{{- end }}

{{/* Refuses what cannot work, in words. */}}
{{- define "stemma.check" -}}
{{- $v := .Values -}}
{{- if and (ne $v.postgres.kind "bundled") (not $v.secrets.installation) }}{{ fail "secrets.installation: name the Secret that holds database-url and the others; only bundled engines have theirs made." }}{{ end -}}
{{- if and (eq $v.postgres.kind "cloudnativepg") (not $v.postgres.cluster) }}{{ fail "postgres.cluster: name CloudNativePG's Cluster." }}{{ end -}}
{{- if and (eq $v.redis.kind "external") (not $v.redis.address) }}{{ fail "redis.address: say where Redis is, as host:port." }}{{ end -}}
{{- if and (eq $v.s3.kind "external") (not $v.s3.endpoint) }}{{ fail "s3.endpoint: say where object storage is." }}{{ end -}}
{{- if and (eq $v.expose.by "gateway") (not $v.expose.gateway) }}{{ fail "expose.gateway: name the Gateway that routes join." }}{{ end -}}
{{- if and $v.secrets.external.enabled (not (and $v.secrets.external.store $v.secrets.installation $v.secrets.keys)) }}{{ fail "secrets.external: needs store, secrets.installation and secrets.keys." }}{{ end -}}
{{- $longest := (dig "gateway" "answer_seconds" 120 $v.serving.config) | float64 -}}
{{- $stop := (dig "stop_seconds" 10 $v.serving.config) | float64 -}}
{{- if lt $stop $longest }}{{ fail (printf "serving.config.stop_seconds: %v is below gateway.answer_seconds %v; a replica would be ended with a generation in work." $stop $longest) }}{{ end -}}
{{- if lt ($v.serving.graceSeconds | float64) (addf $stop $v.serving.gateway.drainSeconds 15) }}{{ fail (printf "serving.graceSeconds: must be at least stop_seconds + gateway.drainSeconds + 15 = %v." (addf $stop $v.serving.gateway.drainSeconds 15)) }}{{ end -}}
{{- if gt ($v.serving.lingerSeconds | float64) $stop }}{{ fail (printf "serving.lingerSeconds: must be at most stop_seconds = %v." $stop) }}{{ end -}}
{{- if lt ($v.portal.graceSeconds | int) (add $v.portal.drainSeconds 20 | int) }}{{ fail "portal.graceSeconds: must be at least drainSeconds + 20." }}{{ end -}}
{{- end }}
