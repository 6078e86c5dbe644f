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
- {name: models, mountPath: /models, subPath: catalogue, readOnly: true}
{{- end }}

{{- define "kyara.modelsVolume" -}}
- name: models
  persistentVolumeClaim: {claimName: {{ include "kyara.modelsClaim" . }}}
{{- end }}

{{/* A container of the job that fills the claim. */}}
{{- define "kyara.modelsContainer" -}}
image: {{ include "kyara.image" (dict "root" . "name" "cli") }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{ include "kyara.container" . }}
env:
  {{- include "kyara.home" . | nindent 2 }}
  - {name: KYARA_MODELS_DIR, value: /data/catalogue}
  - {name: HF_ENDPOINT, value: {{ .Values.hub.address | quote }}}
  {{- with .Values.hub.existingSecret }}
  - name: HF_TOKEN
    valueFrom: {secretKeyRef: {name: {{ . }}, key: token}}
  {{- end }}
resources:
  requests: {cpu: 250m, memory: 512Mi, ephemeral-storage: 64Mi}
  limits: {cpu: "1", memory: 1Gi, ephemeral-storage: 256Mi}
volumeMounts:
  - {name: models, mountPath: /data}
  - {name: tmp, mountPath: /tmp}
{{- end }}
