{{/* What a name in flows.yaml means, as NetworkPolicy peers: (dict "root" $ "peer" "portal") */}}
{{- define "stemma.peers" -}}
{{- $n := .root.Values.networkPolicies -}}
{{- $peer := .peer -}}
{{- if eq $peer "ingress" }}
{{- range .root.Values.expose.namespaces }}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ . }}}}
{{- end }}
{{- else if eq $peer "kuberay" }}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ $n.kuberayNamespace }}}}
{{- else if eq $peer "monitoring" }}
{{- if .root.Values.monitoring.enabled }}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ $n.monitoringNamespace }}}}
{{- end }}
{{- else if eq $peer "keda" }}
{{- if eq .root.Values.worker.autoscaling.by "keda" }}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ $n.kedaNamespace }}}}
{{- end }}
{{- else if eq $peer "cleanup" }}
- podSelector: {matchLabels: {ray.io/node-type: redis-cleanup}}
{{- else if eq $peer "apiserver" }}
- ipBlock: {cidr: {{ $n.apiServer }}}
{{- else if eq $peer "world" }}
{{- range $n.portalMayCall }}
{{- /* Never the machine's own metadata, where clouds keep credentials. */}}
- ipBlock: {cidr: {{ . }}{{ if eq . "0.0.0.0/0" }}, except: [169.254.0.0/16]{{ end }}}
{{- end }}
{{- else }}
- podSelector:
    matchLabels: {{ include "stemma.selector" (dict "root" .root "component" $peer) | nindent 6 }}
{{- end }}
{{- end }}

{{/* The cluster's names */}}
{{- define "stemma.names" -}}
to:
  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
    podSelector: {matchLabels: {k8s-app: kube-dns}}
ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- end }}
