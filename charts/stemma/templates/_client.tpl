{{/* For programs that speak to the portal's API as its operator */}}
{{- define "stemma.clientEnv" -}}
- {name: STEMMA_PORTAL_URL, value: {{ ternary .Values.portal.url (printf "http://%s-portal.%s.svc:8000" (include "stemma.name" .) .Release.Namespace) (hasPrefix "https://" .Values.portal.url) | quote }}}
- {name: STEMMA_SERVING_URL, value: {{ printf "http://%s-serving.%s.svc:%v" (include "stemma.name" .) .Release.Namespace .Values.serving.port | quote }}}
{{ include "stemma.secretEnv" (list . "STEMMA_PORTAL_TOKEN" "portal-token") }}
{{- end }}
