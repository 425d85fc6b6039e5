{{/* Labels of everything that belongs to the operator. */}}
{{- define "crucible.labels" -}}
app.kubernetes.io/name: crucible
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* What selects the operator's pods. */}}
{{- define "crucible.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* The Secret with the bucket's credentials; empty where the pod has an identity of its own. */}}
{{- define "crucible.s3Secret" -}}
{{- if .Values.s3.existingSecret -}}
{{ .Values.s3.existingSecret }}
{{- else if or .Values.s3.accessKeyId .Values.dev.enabled -}}
crucible-s3
{{- end -}}
{{- end }}

{{- define "crucible.s3Endpoint" -}}
{{- if .Values.s3.endpoint -}}
{{ .Values.s3.endpoint }}
{{- else if .Values.dev.enabled -}}
http://s3.{{ .Release.Namespace }}.svc:9000
{{- end -}}
{{- end }}

{{/* The Secret with the ledger's address; empty where there is no ledger. */}}
{{- define "crucible.postgresSecret" -}}
{{- if .Values.postgres.existingSecret -}}
{{ .Values.postgres.existingSecret }}
{{- else if .Values.dev.enabled -}}
postgres
{{- end -}}
{{- end }}

{{/* What the pod security standard "restricted" asks of a pod and of a container. */}}
{{- define "crucible.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "crucible.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The namespace of the earlier system's routes. */}}
{{- define "crucible.gatewayNamespace" -}}
{{ .Values.gateway.namespace | default .Values.watchNamespace | default .Release.Namespace }}
{{- end }}

{{- /* The Prometheus servers that may be asked: those of the values, and the development cluster's own. */ -}}
{{- define "crucible.prometheusSources" -}}
{{- $own := list -}}
{{- if .Values.dev.enabled -}}
{{- $own = list (dict "name" "cluster-prometheus" "url" (printf "http://prometheus.%s.svc:9090" .Release.Namespace)) -}}
{{- end -}}
{{- concat .Values.prometheus.sources $own | toJson -}}
{{- end }}
