{{/* What every pod of this chart is under: no root, and no variables that Kubernetes makes up from
     the names of Services, which a service would take for misspelt settings. */}}
{{- define "kyara.pod" -}}
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* What every container of this chart is under. */}}
{{- define "kyara.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Priority class of a pod. Takes root, class (control or work), and own where it may have one of its own. */}}
{{- define "kyara.priority" -}}
{{- with .own | default .root.Values.defaults.priorityClassName }}
priorityClassName: {{ . }}
{{- else }}
{{- if .root.Values.priorityClasses.create -}}
priorityClassName: {{ include "kyara.priorityClass" . }}
{{- end }}
{{- end }}
{{- end }}

{{/* PriorityClasses belong to the whole cluster, where another namespace may have a release of the same name. */}}
{{- define "kyara.priorityClass" -}}
{{ include "kyara.fullname" .root }}-{{ .root.Release.Namespace }}-{{ .class }}
{{- end }}

{{/* Resources with graphics cards among the limits. Takes resources, gpus. */}}
{{- define "kyara.resources" -}}
{{- $resources := deepCopy .resources }}
{{- if .gpus }}
{{- $_ := set $resources "limits" (set (default dict $resources.limits) "nvidia.com/gpu" (.gpus | toString)) }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{/* Where a pod may run: where `defaults` say, unless it has nodes or taints of its own. Takes root, and own: nodeSelector,
     tolerations, and gpus, whose nodes are kept free of other work by a taint. */}}
{{- define "kyara.placement" -}}
{{- $own := .own | default dict }}
{{- $tolerations := $own.tolerations | default .root.Values.defaults.tolerations }}
{{- if $own.gpus }}
{{- $tolerations = append $tolerations (dict "key" "nvidia.com/gpu" "operator" "Exists" "effect" "NoSchedule") }}
{{- end }}
{{- with $own.nodeSelector | default .root.Values.defaults.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Keys of the store, as variables. */}}
{{- define "kyara.storeKeys" -}}
{{- $secret := required "store.existingSecret: name a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" .Values.store.existingSecret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ . }}}}
{{- end }}
{{- end }}

{{/* What a program without an account or a home of its own needs. */}}
{{- define "kyara.home" -}}
- {name: HOME, value: /tmp}
- {name: USER, value: kyara}
{{- end }}
