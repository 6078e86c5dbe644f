{{/* Settings that follow from the rest of the chart. Takes root, name. */}}
{{- define "kyara.addresses" -}}
{{- $root := .root }}
{{- $calls := get (include "kyara.arrows" $root | fromYaml) .name }}
listen: "[::]:{{ include "kyara.port" .name }}"
{{- if $root.Values.tls.enabled }}
tls_cert: /etc/kyara/tls/tls.crt
tls_key: /etc/kyara/tls/tls.key
tls_ca: /etc/kyara/tls/ca.crt
probe_listen: "[::]:{{ include "kyara.probePort" . }}"
{{- end }}
{{- range $calls }}
{{- $address := dict "root" $root "name" . }}
{{- if has . (list "store" "temporal" "inference") }}
{{ . }}: {{ include "kyara.address" $address | quote }}
{{- else if hasSuffix "-ray" . }}
ray: {{ include "kyara.address" $address | quote }}
{{- else if eq . "hub" }}
hub: {{ $root.Values.hub.address }}
{{- else if eq . "world" }}
work_dir: /work
{{- $store := include "kyara.address" (dict "root" $root "name" "store") }}
{{- with regexFind "endpoint=[^&]+" $store }}
s3_endpoint: {{ trimPrefix "endpoint=" . }}
{{- end }}
{{- with regexFind "region=[^&]+" $store }}
s3_region: {{ trimPrefix "region=" . }}
{{- end }}
{{- end }}
{{- end }}
{{- if $root.Values.metrics.enabled }}
metrics_listen: "[::]:{{ $root.Values.metrics.port }}"
{{- end }}
{{- if eq .name "jobs" }}
{{- if $root.Values.auth.existingSecret }}
auth_key: /etc/kyara/auth/key
{{- else }}
allow_anonymous: true
{{- end }}
namespace: {{ $root.Values.temporal.namespace }}
task_queue: {{ $root.Release.Namespace }}-{{ include "kyara.fullname" $root }}
stages:
  {{- range $calls }}
  {{- if hasKey $root.Values.services . }}
  {{ . }}: {{ include "kyara.address" (dict "root" $root "name" .) }}
  {{- end }}
  {{- end }}
{{- end }}
{{- if eq .name "crawler" }}
{{- /* They share the rates of hosts. */}}
replicas: {{ max 1 (ternary .service.autoscaling.maxReplicas .service.replicas .service.autoscaling.enabled) }}
{{- end }}
{{- if eq (include "kyara.readsModels" .) "true" }}
models: /models/catalogue
{{- end }}
{{- end }}

{{- define "kyara.configmap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "kyara.metadata" . | nindent 2 }}
data:
  settings.yaml: |
    {{- include "kyara.over" (dict "base" (include "kyara.addresses" . | fromYaml) "over" .service.config) | nindent 4 }}
{{- end }}
