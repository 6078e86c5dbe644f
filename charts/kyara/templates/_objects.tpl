{{/* The objects around a service's pods. Each takes root, name, service. */}}

{{/* Headless, so that clients see every pod and spread their calls over them. */}}
{{- define "kyara.servicePort" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "kyara.metadata" . | nindent 2 }}
spec:
  clusterIP: None
  selector:
    {{- include "kyara.selector" . | nindent 4 }}
  ports:
    - {name: grpc, port: {{ include "kyara.port" .name }}, targetPort: grpc, appProtocol: kubernetes.io/h2c}
    {{- if .root.Values.metrics.enabled }}
    - {name: metrics, port: {{ .root.Values.metrics.port }}, targetPort: metrics}
    {{- end }}
{{- end }}

{{- define "kyara.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "kyara.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .service.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "kyara.selector" . | nindent 6 }}
{{- end }}

{{- define "kyara.autoscaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "kyara.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ ternary "StatefulSet" "Deployment" .service.work.enabled }}
    name: {{ include "kyara.fullname" .root }}-{{ .name }}
  minReplicas: {{ .service.autoscaling.minReplicas }}
  maxReplicas: {{ .service.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ .service.autoscaling.targetCPU }}}}
  behavior:
    # A pod that goes takes its actions with it, which start again from their checkpoints: better to wait for the next.
    scaleDown: {stabilizationWindowSeconds: 600}
{{- end }}

{{- define "kyara.serviceMonitor" -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "kyara.metadata" . | nindent 2 }}
    {{- with .root.Values.metrics.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "kyara.selector" . | nindent 6 }}
  endpoints:
    - {port: metrics, interval: {{ .root.Values.metrics.interval }}}
{{- end }}
