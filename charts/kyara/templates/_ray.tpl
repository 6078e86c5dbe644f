{{/* Pod of a RayCluster, on the image of the service that it works for. Takes root, name, service, node: type (head or
     worker), resources, sharedMemory, and for workers gpus, nodeSelector, tolerations. */}}
{{- define "kyara.rayPod" -}}
{{- $head := eq .node.type "head" }}
metadata:
  labels:
    {{- include "kyara.labels" . | nindent 4 }}
spec:
  # The autoscaler beside the head asks Kubernetes for workers, as the account that KubeRay makes for it.
  automountServiceAccountToken: {{ $head }}
  {{- include "kyara.pod" .root | nindent 2 }}
  {{- with include "kyara.priority" (dict "root" .root "class" (ternary "control" "work" $head)) | trim }}
  {{- nindent 2 . }}
  {{- end }}
  {{- with include "kyara.placement" (dict "root" .root "own" .node) | trim }}
  {{- nindent 2 . }}
  {{- end }}
  containers:
    - name: ray-{{ .node.type }}
      image: {{ include "kyara.image" (dict "root" .root "name" .service "cuda" .node.gpus) }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      {{- include "kyara.container" .root | nindent 6 }}
      env:
        {{- include "kyara.home" .root | nindent 8 }}
        {{- include "kyara.storeKeys" .root | trim | nindent 8 }}
        - {name: RAY_USAGE_STATS_ENABLED, value: "0"}
        # Training is what a worker is for: Ray would make it give way to everything else.
        - {name: RAY_worker_niceness, value: "0"}
        # Torch's threads would wait for one another on the processor: runs side by side on a node would hardly get on.
        - {name: OMP_WAIT_POLICY, value: PASSIVE}
      {{- if $head }}
      ports:
        - {name: gcs-server, containerPort: 6379}
        - {name: dashboard, containerPort: {{ include "kyara.port" .name }}}
        - {name: client, containerPort: 10001}
      readinessProbe: {httpGet: {path: /api/gcs_healthz, port: dashboard}, periodSeconds: 5, timeoutSeconds: 5}
      {{- else }}
      readinessProbe: {httpGet: {path: /api/local_raylet_healthz, port: 52365}, periodSeconds: 5, timeoutSeconds: 5}
      {{- end }}
      # KubeRay's own probes would need wget in the image.
      livenessProbe: {httpGet: {path: /api/local_raylet_healthz, port: 52365}, initialDelaySeconds: 60, periodSeconds: 20, timeoutSeconds: 5, failureThreshold: 6}
      resources:
        {{- include "kyara.resources" .node | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: shm, mountPath: /dev/shm}
        {{- if eq (include "kyara.readsModels" .) "true" }}
        {{- include "kyara.modelsMount" .root | nindent 8 }}
        {{- end }}
  volumes:
    - {name: tmp, emptyDir: {}}
    - {name: shm, emptyDir: {medium: Memory, sizeLimit: {{ .node.sharedMemory }}}}
    {{- if eq (include "kyara.readsModels" .) "true" }}
    {{- include "kyara.modelsVolume" .root | nindent 4 }}
    {{- end }}
{{- end }}
