{{/* Name of the release's objects. KubeRay shortens names above 50 characters, with what it adds to them. */}}
{{- define "kyara.fullname" -}}
{{- ternary .Release.Name (printf "%s-kyara" .Release.Name) (contains "kyara" .Release.Name) | trunc 30 | trimSuffix "-" }}
{{- end }}

{{/* Labels that select the pods of a component. KubeRay keeps these on its pods too. Takes root, name. */}}
{{- define "kyara.selector" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{/* Labels of a component's objects. Takes root, name. */}}
{{- define "kyara.labels" -}}
{{ include "kyara.selector" . }}
app.kubernetes.io/name: kyara
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* Name and labels of a component's object. Takes root, name. */}}
{{- define "kyara.metadata" -}}
name: {{ include "kyara.fullname" .root }}-{{ .name }}
labels:
  {{- include "kyara.labels" . | nindent 2 }}
{{- end }}

{{/* One of Kyara's images. Takes root, name, and cuda for the variant with CUDA. */}}
{{- define "kyara.image" -}}
{{- $image := .root.Values.image }}
{{- with $image.registry }}{{ . }}/{{ end }}kyara-{{ .name }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ if .cuda }}-cuda{{ end }}
{{- end }}

{{/* Two maps as one: the keys of `over` go before those of `base`, at every depth. */}}
{{- define "kyara.over" -}}
{{- $both := deepCopy .base }}
{{- range $key, $value := .over }}
{{- $under := get $both $key }}
{{- if and (kindIs "map" $value) (kindIs "map" $under) }}
{{- $value = include "kyara.over" (dict "base" $under "over" $value) | fromYaml }}
{{- end }}
{{- $_ := set $both $key $value }}
{{- end }}
{{- toYaml $both }}
{{- end }}
