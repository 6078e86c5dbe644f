{{/* Who calls whom. NetworkPolicies let these through and nothing else; settings get addresses of these and no others.

store, temporal, inference, trainer-ray, evaluator-ray   bundled, or at the address that the values give
hub     where models come from and results go to
web     public addresses, HTTP and HTTPS
world   as web, and any port from 1024 on: torrent peers choose theirs
kubernetes   the API server
*/}}
{{- define "kyara.arrows" -}}
jobs: [crawler, fetcher, keyframer, detector, curator, embedder, clusterer, trainer, evaluator, publisher, temporal, store]
crawler: [store, web]
fetcher: [store, world]
keyframer: [store]
detector: [store, inference]
curator: [store, inference]
embedder: [store, inference]
clusterer: [store, inference]
trainer: [store, trainer-ray]
evaluator: [store, inference, evaluator-ray]
publisher: [store, hub]
trainer-ray: [store, trainer-ray, kubernetes]
evaluator-ray: [store, evaluator-ray, kubernetes]
models: [hub]
test: [store, jobs]
gc: [jobs]
{{- end }}

{{/* Port that a component is called on. */}}
{{- define "kyara.port" -}}
{{- get (dict "store" 8333 "temporal" 7233 "inference" 8001 "trainer-ray" 8265 "evaluator-ray" 8265) . | default 7400 }}
{{- end }}

{{/* Port that a service's probes ask: they know no TLS. Takes root, name. */}}
{{- define "kyara.probePort" -}}
{{- if .root.Values.tls.enabled }}7401{{ else }}{{ include "kyara.port" .name }}{{ end }}
{{- end }}

{{/* Values of what `name` stands for among store, temporal, inference, trainer-ray, evaluator-ray; nothing for others. */}}
{{- define "kyara.backend" -}}
{{- $key := ternary "ray" .name (hasSuffix "-ray" .name) }}
{{- if has $key (list "store" "temporal" "inference" "ray") }}
{{- toYaml (get .root.Values $key) }}
{{- end }}
{{- end }}

{{/* Address of a backend or service, as settings want it. Takes root, name. */}}
{{- define "kyara.address" -}}
{{- $backend := include "kyara.backend" . | fromYaml }}
{{- $here := printf "%s-%s" (include "kyara.fullname" .root) .name }}
{{- $port := include "kyara.port" .name }}
{{- if not $backend }}{{ $here }}:{{ $port }}
{{- else }}
{{- $key := ternary "ray" .name (hasSuffix "-ray" .name) }}
{{- if and $backend.address $backend.bundled.enabled }}
{{- fail (printf "%s.address and %s.bundled.enabled are both set: choose one" $key $key) }}
{{- else if $backend.address }}{{ $backend.address }}
{{- else if not $backend.bundled.enabled }}
{{- fail (printf "%s.address: say where it is, or set %s.bundled.enabled for one in this release" $key $key) }}
{{- else if eq .name "store" }}s3://kyara?endpoint=http://{{ $here }}:{{ $port }}
{{- else if hasSuffix "-ray" .name }}http://{{ $here }}-head-svc:{{ $port }}
{{- else }}{{ $here }}:{{ $port }}
{{- end }}
{{- end }}
{{- end }}

{{/* host:port of an address: that of an S3 address is its endpoint's. */}}
{{- define "kyara.hostPort" -}}
{{- $url := . }}
{{- if hasPrefix "s3://" . }}
{{- $url = regexFind "endpoint=[^&]+" . | trimPrefix "endpoint=" | default "https://s3.amazonaws.com" }}
{{- end }}
{{- $host := regexReplaceAll "^https?://" $url "" | trimSuffix "/" }}
{{- if regexMatch ":[0-9]+$" $host }}{{ $host }}
{{- else }}{{ $host }}:{{ ternary "80" "443" (hasPrefix "http://" $url) }}
{{- end }}
{{- end }}
