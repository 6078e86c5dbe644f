{{/* Spec of a pod that calls jobs and goes. Takes root, name, command, values (existingSecret, resources), and mounts and volumes. */}}
{{- define "kyara.clientPod" -}}
restartPolicy: Never
automountServiceAccountToken: false
{{- include "kyara.pod" .root | nindent 0 }}
{{- with include "kyara.priority" (dict "root" .root "class" "work") | trim }}
{{- nindent 0 . }}
{{- end }}
{{- with include "kyara.placement" (dict "root" .root) | trim }}
{{- nindent 0 . }}
{{- end }}
containers:
  - name: {{ .name }}
    image: {{ include "kyara.image" (dict "root" .root "name" "cli") }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    {{- include "kyara.container" .root | nindent 4 }}
    command: {{ toJson .command }}
    env:
      {{- include "kyara.home" .root | nindent 6 }}
      - {name: KYARA_ADDRESS, value: {{ include "kyara.address" (dict "root" .root "name" "jobs") | quote }}}
      {{- if has "store" (get (include "kyara.arrows" . | fromYaml) .name) }}
      {{- include "kyara.storeKeys" .root | trim | nindent 6 }}
      - {name: KYARA_STORE, value: {{ include "kyara.address" (dict "root" .root "name" "store") | quote }}}
      {{- end }}
      {{- if .root.Values.tls.enabled }}
      - {name: KYARA_CA, value: /etc/kyara/tls/ca.crt}
      {{- end }}
      {{- with .values.existingSecret }}
      - {name: KYARA_TOKEN, valueFrom: {secretKeyRef: {name: {{ . }}, key: token}}}
      {{- end }}
    resources:
      {{- toYaml .values.resources | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      {{- with .mounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- with include "kyara.secretMounts" . | trim }}
      {{- nindent 6 . }}
      {{- end }}
volumes:
  - {name: tmp, emptyDir: {sizeLimit: 1Gi}}
  {{- with .volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with include "kyara.secretVolumes" . | trim }}
  {{- nindent 2 . }}
  {{- end }}
{{- end }}
