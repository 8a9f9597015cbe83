{{/* Labels of a monitor, with those that your Prometheus selects by */}}
{{- define "stemma.monitorLabels" -}}
{{ include "stemma.labels" . }}
{{- with .root.Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}
