{{/* A service's pods: a Deployment, or a StatefulSet when each pod keeps a volume. Takes root, name, service, config. */}}
{{- define "kyara.workload" -}}
{{- $keeps := .service.work.enabled }}
apiVersion: apps/v1
kind: {{ ternary "StatefulSet" "Deployment" $keeps }}
metadata:
  {{- include "kyara.metadata" . | nindent 2 }}
spec:
  {{- if not .service.autoscaling.enabled }}
  replicas: {{ .service.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "kyara.selector" . | nindent 6 }}
  {{- if eq .name "crawler" }}
  # One more, even for a moment, would go beyond the rates that sites allow.
  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}
  {{- end }}
  {{- if $keeps }}
  serviceName: {{ include "kyara.fullname" .root }}-{{ .name }}
  podManagementPolicy: Parallel
  volumeClaimTemplates:
    - metadata: {name: work}
      spec:
        {{- include "kyara.claim" (dict "size" .service.work.size "storageClassName" .service.work.storageClassName "accessMode" "ReadWriteOnce") | nindent 8 }}
  {{- end }}
  template:
    metadata:
      labels:
        {{- include "kyara.labels" . | nindent 8 }}
      annotations:
        checksum/settings: {{ .configmap | sha256sum }}
        {{- with .service.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      automountServiceAccountToken: false
      {{- include "kyara.pod" .root | nindent 6 }}
      {{- $class := ternary "control" "work" (eq .name "jobs") }}
      {{- with include "kyara.priority" (dict "root" .root "class" $class "own" .service.priorityClassName) | trim }}
      {{- nindent 6 . }}
      {{- end }}
      {{- with include "kyara.placement" (dict "root" .root "own" .service) | trim }}
      {{- nindent 6 . }}
      {{- end }}
      {{- with .service.spreadOver }}
      topologySpreadConstraints:
        {{- range . }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "kyara.selector" $ | nindent 14 }}
        {{- end }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "kyara.image" . }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command: [python, -m, kyara_{{ .name }}]
          {{- include "kyara.container" .root | nindent 10 }}
          env:
            - {name: KYARA_CONFIG, value: /etc/kyara/settings/settings.yaml}
            {{- include "kyara.home" .root | nindent 12 }}
            {{- include "kyara.storeKeys" .root | trim | nindent 12 }}
            {{- with include "kyara.tokens" . | trim }}
            {{- nindent 12 . }}
            {{- end }}
          {{- if and (eq .name "crawler") .root.Values.sites.existingSecret }}
          envFrom:
            - secretRef: {name: {{ .root.Values.sites.existingSecret }}}
          {{- end }}
          ports:
            - {name: grpc, containerPort: {{ include "kyara.port" .name }}}
            {{- if .root.Values.metrics.enabled }}
            - {name: metrics, containerPort: {{ .root.Values.metrics.port }}}
            {{- end }}
          startupProbe: {grpc: {port: {{ include "kyara.probePort" . }}}, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 90}
          readinessProbe: {grpc: {port: {{ include "kyara.probePort" . }}}, periodSeconds: 5, timeoutSeconds: 2}
          livenessProbe: {grpc: {port: {{ include "kyara.probePort" . }}}, periodSeconds: 20, timeoutSeconds: 5, failureThreshold: 6}
          resources:
            {{- toYaml .service.resources | nindent 12 }}
          volumeMounts:
            - {name: settings, mountPath: /etc/kyara/settings, readOnly: true}
            - {name: tmp, mountPath: /tmp}
            {{- if $keeps }}
            - {name: work, mountPath: /work}
            {{- end }}
            {{- if eq (include "kyara.readsModels" .) "true" }}
            {{- include "kyara.modelsMount" .root | nindent 12 }}
            {{- end }}
            {{- with include "kyara.secretMounts" . | trim }}
            {{- nindent 12 . }}
            {{- end }}
      volumes:
        - {name: settings, configMap: {name: {{ include "kyara.fullname" .root }}-{{ .name }}}}
        - {name: tmp, emptyDir: {sizeLimit: {{ .service.scratch }}}}
        {{- if eq (include "kyara.readsModels" .) "true" }}
        {{- include "kyara.modelsVolume" .root | nindent 8 }}
        {{- end }}
        {{- with include "kyara.secretVolumes" . | trim }}
        {{- nindent 8 . }}
        {{- end }}
{{- end }}

{{/* Tokens of what a service calls, as variables. Takes root, name. */}}
{{- define "kyara.tokens" -}}
{{- $calls := get (include "kyara.arrows" .root | fromYaml) .name }}
{{- if and (has "hub" $calls) .root.Values.hub.existingSecret }}
- name: KYARA_{{ upper .name }}_HUB_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .root.Values.hub.existingSecret }}, key: token}}
{{- end }}
{{- range $calls }}
{{- if hasSuffix "-ray" . }}
{{- include "kyara.rayToken" (dict "root" $.root "name" .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The token of a Ray cluster, as a variable. Takes root, name. */}}
{{- define "kyara.rayToken" -}}
{{- $ray := .root.Values.ray }}
{{- $made := ternary (printf "%s-%s" (include "kyara.fullname" .root) .name) "" $ray.bundled.enabled }}
{{- with $ray.existingSecret | default $made }}
- name: RAY_AUTH_TOKEN
  valueFrom: {secretKeyRef: {name: {{ . }}, key: auth_token}}
{{- end }}
{{- end }}

{{/* Spec of a volume claim. Takes size, storageClassName, accessMode. */}}
{{- define "kyara.claim" -}}
accessModes: [{{ .accessMode }}]
{{- with .storageClassName }}
storageClassName: {{ . }}
{{- end }}
resources: {requests: {storage: {{ .size }}}}
{{- end }}

{{/* Certificates, and for jobs the key that checks callers' tokens, as files. Takes root, name. */}}
{{- define "kyara.secretMounts" -}}
{{- if .root.Values.tls.enabled }}
- {name: tls, mountPath: /etc/kyara/tls, readOnly: true}
{{- end }}
{{- if and (eq .name "jobs") .root.Values.auth.existingSecret }}
- {name: auth, mountPath: /etc/kyara/auth, readOnly: true}
{{- end }}
{{- end }}

{{- define "kyara.secretVolumes" -}}
{{- $values := .root.Values }}
{{- if $values.tls.enabled }}
- {name: tls, secret: {secretName: {{ $values.tls.existingSecret | default (printf "%s-tls" (include "kyara.fullname" .root)) }}, defaultMode: 0440}}
{{- end }}
{{- if and (eq .name "jobs") $values.auth.existingSecret }}
- {name: auth, secret: {secretName: {{ $values.auth.existingSecret }}, defaultMode: 0440}}
{{- end }}
{{- end }}
