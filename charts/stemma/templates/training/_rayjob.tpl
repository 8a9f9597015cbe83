{{/* `stemma train --on cluster` fills in what begins with @ and hands it to the API server. */}}
{{- define "stemma.rayjob" }}
{{- $t := .root.Values.training }}
apiVersion: ray.io/v1
kind: RayJob
metadata:
  generateName: {{ include "stemma.name" .root }}-train-
  labels:
    {{- include "stemma.labels" . | nindent 4 }}
    {{- with $t.queue }}
    kueue.x-k8s.io/queue-name: {{ . }}
    {{- end }}
spec:
  entrypoint: "@ENTRYPOINT"
  submissionMode: K8sJobMode
  shutdownAfterJobFinishes: true
  ttlSecondsAfterFinished: {{ $t.keepSeconds }}
  {{- if $t.queue }}
  suspend: true
  {{- end }}
  backoffLimit: 1
  submitterConfig: {backoffLimit: 1}
  submitterPodTemplate:
    metadata:
      labels: {{ include "stemma.podLabels" . | nindent 8 }}
    spec:
      {{- include "stemma.pod" . | nindent 6 }}
      restartPolicy: Never
      containers:
        - name: submit
          image: {{ include "stemma.image" (dict "root" .root "image" "serving") }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          {{- include "stemma.container" . | nindent 10 }}
          resources: {requests: {cpu: 50m, memory: 192Mi}, limits: {cpu: "1", memory: 768Mi}}
          env:
            - {name: RAY_USAGE_STATS_ENABLED, value: "0"}
            - {name: HOME, value: /tmp}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: tmp
          emptyDir: {}
  rayClusterSpec:
    rayVersion: {{ .root.Values.serving.rayVersion | quote }}
    {{- if .root.Values.serving.authentication }}
    authOptions: {mode: token}
    {{- end }}
    headGroupSpec:
      rayStartParams:
        dashboard-host: 0.0.0.0
        num-gpus: {{ $t.gpu | quote }}
        object-store-memory: "104857600"
      template:
        metadata:
          labels: {{ include "stemma.podLabels" . | nindent 12 }}
        spec:
          {{- include "stemma.pod" . | nindent 10 }}
          terminationGracePeriodSeconds: 60
          {{- with include "stemma.priority" (list .root "batch" $t.priorityClassName) }}
          priorityClassName: {{ . }}
          {{- end }}
          containers:
            {{- include "stemma.rayContainer" (dict "root" .root "name" "ray-head" "resources" $t.resources "gpu" $t.gpu "gpuResource" $t.gpuResource "ports" (list (dict "name" "gcs" "containerPort" 6379) (dict "name" "dashboard" "containerPort" 8265) (dict "name" "metrics" "containerPort" 8080)) "env" (printf "%s\n%s" (include "stemma.clientEnv" .root) (include "stemma.mlflowAccount" .root | trim))) | nindent 12 }}
          volumes: {{ include "stemma.rayVolumes" . | nindent 12 }}
    {{- if $t.workers }}
    {{- /* They sign nothing and ask nobody: no role's keys, no account of the portal or of MLflow. */}}
    {{- $it := omit . "roles" }}
    workerGroupSpecs:
      - groupName: worker
        replicas: {{ $t.workers }}
        minReplicas: {{ $t.workers }}
        maxReplicas: {{ $t.workers }}
        rayStartParams:
          num-gpus: {{ $t.gpu | quote }}
          object-store-memory: "104857600"
        template:
          metadata:
            labels: {{ include "stemma.podLabels" $it | nindent 14 }}
          spec:
            {{- include "stemma.pod" $it | nindent 12 }}
            terminationGracePeriodSeconds: 60
            {{- with include "stemma.priority" (list .root "batch" $t.priorityClassName) }}
            priorityClassName: {{ . }}
            {{- end }}
            containers:
              {{- include "stemma.rayContainer" (dict "root" .root "name" "ray-worker" "resources" $t.resources "gpu" $t.gpu "gpuResource" $t.gpuResource "ports" (list (dict "name" "metrics" "containerPort" 8080))) | nindent 14 }}
            volumes: {{ include "stemma.rayVolumes" $it | nindent 14 }}
    {{- end }}
{{- end }}
