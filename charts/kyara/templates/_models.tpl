{{/* The claim that models lie on; nothing when there are none but the images' own. */}}
{{- define "kyara.modelsClaim" -}}
{{- $models := .Values.models }}
{{- if $models.existingClaim }}{{ $models.existingClaim }}
{{- else if or $models.names .Values.inference.bundled.enabled }}{{ include "kyara.fullname" . }}-models
{{- end }}
{{- end }}

{{/* Not empty when a job has something to put there. */}}
{{- define "kyara.fillsModels" -}}
{{- if or .Values.models.names .Values.inference.bundled.enabled }}true{{ end }}
{{- end }}

{{/* "true" when a service reads models from there. Takes root, name. */}}
{{- define "kyara.readsModels" -}}
{{- and (has .name (list "curator" "trainer" "evaluator" "trainer-ray" "evaluator-ray")) (ne (include "kyara.modelsClaim" .root) "") }}
{{- end }}

{{- define "kyara.modelsMount" -}}
- {name: models, mountPath: /models, readOnly: true}
{{- end }}

{{- define "kyara.modelsVolume" -}}
- name: models
  persistentVolumeClaim: {claimName: {{ include "kyara.modelsClaim" . }}}
{{- end }}

{{/* Spec of the job that fills the claim. Takes root, name. */}}
{{- define "kyara.modelsJob" -}}
{{- $models := .root.Values.models }}
backoffLimit: 10
template:
  metadata:
    labels:
      {{- include "kyara.labels" . | nindent 6 }}
  spec:
    restartPolicy: OnFailure
    automountServiceAccountToken: false
    {{- include "kyara.pod" .root | nindent 4 }}
    {{- with include "kyara.priority" (dict "root" .root "class" "control") | trim }}
    {{- nindent 4 . }}
    {{- end }}
    {{- with include "kyara.placement" (dict "root" .root) | trim }}
    {{- nindent 4 . }}
    {{- end }}
    {{- with $models.names }}
    initContainers:
      {{- range $number, $model := . }}
      - name: fetch-{{ $number }}
        command: [kyara, models, pull, {{ $model }}{{ if $models.pin }}, --pin{{ end }}]
        {{- include "kyara.modelsContainer" $.root | nindent 8 }}
      {{- end }}
    {{- end }}
    containers:
      - name: fill-repository
        command: [kyara, models, repository, --to, /models/repository{{ if .root.Values.inference.bundled.gpus }}, --gpu{{ end }}]
        {{- include "kyara.modelsContainer" .root | nindent 8 }}
    volumes:
      {{- include "kyara.modelsVolume" .root | nindent 6 }}
      - {name: tmp, emptyDir: {sizeLimit: 64Mi}}
{{- end }}

{{/* A container of the job that fills the claim. */}}
{{- define "kyara.modelsContainer" -}}
image: {{ include "kyara.image" (dict "root" . "name" "cli") }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{ include "kyara.container" . }}
env:
  {{- include "kyara.home" . | nindent 2 }}
  - {name: KYARA_MODELS_DIR, value: /models/catalogue}
  - {name: HF_ENDPOINT, value: {{ .Values.hub.address | quote }}}
  {{- with .Values.hub.existingSecret }}
  - name: HF_TOKEN
    valueFrom: {secretKeyRef: {name: {{ . }}, key: token}}
  {{- end }}
resources:
  requests: {cpu: 250m, memory: 512Mi, ephemeral-storage: 64Mi}
  limits: {cpu: "1", memory: 1Gi, ephemeral-storage: 256Mi}
volumeMounts:
  - {name: models, mountPath: /models}
  - {name: tmp, mountPath: /tmp}
{{- end }}
