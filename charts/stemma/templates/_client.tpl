{{/* For programs that speak to the portal's API as its operator */}}
{{- define "stemma.clientEnv" -}}
- {name: STEMMA_PORTAL_URL, value: {{ ternary .Values.portal.url (printf "http://%s-portal.%s.svc:8000" (include "stemma.name" .) .Release.Namespace) (hasPrefix "https://" .Values.portal.url) | quote }}}
- {name: STEMMA_SERVING_URL, value: {{ printf "http://%s-serving.%s.svc:%v" (include "stemma.name" .) .Release.Namespace .Values.serving.port | quote }}}
{{ include "stemma.secretEnv" (list . "STEMMA_PORTAL_TOKEN" "portal-token") }}
{{- end }}

{{/* For programs that write runs; another MLflow may ask for no account */}}
{{- define "stemma.mlflowAccount" -}}
{{- range $name, $entry := dict "MLFLOW_TRACKING_USERNAME" "mlflow-username" "MLFLOW_TRACKING_PASSWORD" "mlflow-password" }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ include "stemma.secret" $ }}, key: {{ $entry }}, optional: {{ not $.Values.mlflow.enabled }}}}
{{- end }}
{{- end }}
