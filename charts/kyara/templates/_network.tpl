{{/* Names of the components that have pods in this release. */}}
{{- define "kyara.components" -}}
{{- $names := concat (keys .Values.services | sortAlpha) (list "test") }}
{{- range list "store" "temporal" "inference" }}
{{- if (get $.Values .).bundled.enabled }}{{ $names = append $names . }}{{ end }}
{{- end }}
{{- if .Values.ray.bundled.enabled }}{{ $names = concat $names (list "trainer-ray" "evaluator-ray") }}{{ end }}
{{- if .Values.gc.schedule }}{{ $names = append $names "gc" }}{{ end }}
{{- if include "kyara.fillsModels" . }}{{ $names = append $names "models" }}{{ end }}
{{- toYaml $names }}
{{- end }}

{{/* Rules of who may call a component: those that have an arrow to it, on its port. Takes root, name, arrows. */}}
{{- define "kyara.ingress" -}}
{{- $callers := list }}
{{- range $caller, $calls := .arrows }}
{{- if and (has $.name $calls) (ne $caller $.name) }}{{ $callers = append $callers $caller }}{{ end }}
{{- end }}
{{- if $callers }}
- from:
    - podSelector:
        matchLabels: {app.kubernetes.io/instance: {{ .root.Release.Name }}}
        matchExpressions: [{key: app.kubernetes.io/component, operator: In, values: {{ toJson $callers }}}]
    {{- if eq .name "jobs" }}
    {{- with .root.Values.networkPolicy.clients }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- end }}
  ports: [{protocol: TCP, port: {{ include "kyara.port" .name }}}]
{{- end }}
{{- if hasSuffix "-ray" .name }}
- from:
    - podSelector: {matchLabels: {{ include "kyara.selector" . | fromYaml | toJson }}}
{{- end }}
{{- if and .root.Values.metrics.enabled (hasKey .root.Values.services .name) }}
- from:
    {{- toYaml .root.Values.networkPolicy.metrics | nindent 4 }}
  ports: [{protocol: TCP, port: {{ .root.Values.metrics.port }}}]
{{- end }}
{{- end }}

{{/* Rules of whom a component may call: its arrows, and DNS to find them. Takes root, name, arrows. */}}
{{- define "kyara.egress" -}}
{{- with get .arrows .name }}
- to:
    {{- toYaml $.root.Values.networkPolicy.dns | nindent 4 }}
  ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- range . }}
{{- include "kyara.egressTo" (dict "root" $.root "name" . "from" $.name) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Rules of one arrow. Takes root, name of its head, from. */}}
{{- define "kyara.egressTo" -}}
{{- $values := .root.Values }}
{{- $backend := include "kyara.backend" . | fromYaml }}
{{- if eq .name .from }}
- to:
    - podSelector: {matchLabels: {{ include "kyara.selector" . | fromYaml | toJson }}}
{{- else if has .name (list "web" "world") }}
{{- if $values.networkPolicy.outside }}
{{- include "kyara.public" (dict "root" .root "ports" (list 80 443) "peers" (eq .name "world")) }}
{{- end }}
{{- else if eq .name "hub" }}
{{- include "kyara.egressByAddress" (dict "root" .root "key" "hub" "address" $values.hub.address "egress" $values.hub.egress) }}
{{- else if eq .name "kubernetes" }}
- to:
    {{- range $values.networkPolicy.apiServer }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  ports: [{protocol: TCP, port: 443}, {protocol: TCP, port: 6443}]
{{- else if and $backend (not $backend.bundled.enabled) }}
{{- $key := ternary "ray" .name (hasSuffix "-ray" .name) }}
{{- include "kyara.egressByAddress" (dict "root" .root "key" $key "address" $backend.address "egress" $backend.egress) }}
{{- else }}
- to:
    - podSelector: {matchLabels: {{ include "kyara.selector" . | fromYaml | toJson }}}
  ports: [{protocol: TCP, port: {{ include "kyara.port" .name }}}]
{{- end }}
{{- end }}

{{/* Rules to an address that the values give. Takes root, key, address, egress. */}}
{{- define "kyara.egressByAddress" -}}
{{- $hostPort := include "kyara.hostPort" .address }}
{{- $port := regexFind "[0-9]+$" $hostPort }}
{{- $host := regexReplaceAll ":[0-9]+$" $hostPort "" }}
{{- $parts := splitList "." $host }}
{{- if .egress }}
{{ toYaml .egress }}
{{- else if regexMatch "^[0-9.]+$" $host }}
- to: [{ipBlock: {cidr: {{ $host }}/32}}]
  ports: [{protocol: TCP, port: {{ $port }}}]
{{- else if eq (len $parts) 1 }}
- to: [{podSelector: {}}]
  ports: [{protocol: TCP, port: {{ $port }}}]
{{- else if regexMatch "^[^.]+[.][^.]+[.]svc([.]|$)" $host }}
- to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ index $parts 1 }}}}}]
  ports: [{protocol: TCP, port: {{ $port }}}]
{{- else if eq .key "hub" }}
{{- include "kyara.public" (dict "root" .root "ports" (list $port)) }}
{{- else }}
{{- fail (printf "%s.egress: %s is outside the cluster, so say what NetworkPolicies should open, for example [{to: [{ipBlock: {cidr: 198.51.100.7/32}}], ports: [{port: %s}]}]" .key $host $port) }}
{{- end }}
{{- end }}

{{/* A rule to public addresses only. Takes root, ports, and peers where torrent peers on theirs are meant too. */}}
{{- define "kyara.public" -}}
{{- $closed := .root.Files.Get "files/not-public.json" | fromJson }}
- to:
    - ipBlock: {cidr: 0.0.0.0/0, except: {{ toJson $closed.ipv4 }}}
    - ipBlock: {cidr: "::/0", except: {{ toJson $closed.ipv6 }}}
  ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
    {{- if .peers }}
    - {protocol: TCP, port: 1024, endPort: 65535}
    - {protocol: UDP, port: 1024, endPort: 65535}
    {{- end }}
{{- end }}
