{{/* Names are what they are in every store: a namespace holds one, and the parts find each other by them. */}}

{{- define "agent-store.chart" -}}
{{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels of pods and of what selects them: the same in every release, so that an upgrade changes no selector.
     Call with (dict "root" $ "component" "steward"), as those that follow. */}}
{{- define "agent-store.selector" -}}
app.kubernetes.io/name: agent-store
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}
{{- define "agent-store.podLabels" -}}
{{ include "agent-store.selector" . }}
app.kubernetes.io/part-of: agent-store
{{- end }}

{{/* Labels of all objects. */}}
{{- define "agent-store.labels" -}}
{{ include "agent-store.podLabels" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ include "agent-store.chart" .root }}
{{- end }}

{{/* The one image. */}}
{{- define "agent-store.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}

{{- define "agent-store.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the namespace's PodSecurity level `restricted` asks of a pod, and of a container. */}}
{{- define "agent-store.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- define "agent-store.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The settings and secrets that every process of the store is given. */}}
{{- define "agent-store.envFrom" -}}
- configMapRef:
    name: agent-store-settings
- secretRef:
    name: {{ .Values.secrets.name }}
{{- end }}

{{/* What every pod of ours writes to: the root is read-only. */}}
{{- define "agent-store.mounts" -}}
- name: data
  mountPath: /var/lib/agent-store
- name: tmp
  mountPath: /tmp
{{- end }}
{{- define "agent-store.volumes" -}}
- name: data
  emptyDir:
    sizeLimit: 64Mi
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- end }}

{{/* Addresses in this namespace. */}}
{{- define "agent-store.address" -}}
http://{{ .name }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}
{{- define "agent-store.sink" -}}
{{ include "agent-store.address" (dict "root" . "name" (printf "%s-broker-ingress" .Values.broker.name)) }}
{{- end }}

{{/* The spec of a LambdaAgent: what all share, then the parts in `own`, the last of which wins. Null takes a part away. */}}
{{- define "agent-store.spec" -}}
{{- $spec := deepCopy .root.Values.agentDefaults }}
{{- range .own }}
{{- $spec = mergeOverwrite $spec (deepCopy .) }}
{{- end }}
{{- range $part, $value := $spec }}
{{- if kindIs "invalid" $value }}
{{- $_ := unset $spec $part }}
{{- end }}
{{- end }}
{{- if not (hasKey $spec "envFrom") }}
{{- $_ := set $spec "envFrom" (include "agent-store.envFrom" .root | fromYamlArray) }}
{{- end }}
{{- $image := dict }}
{{- range $name, $value := .root.Values.image }}
{{- if and $value (ne (toString $value) (toString (get (dict "repository" "ghcr.io/agent-store/agent-store" "pullPolicy" "IfNotPresent") $name))) }}
{{- $_ := set $image $name $value }}
{{- end }}
{{- end }}
{{- with merge (default dict $spec.image) $image }}
{{- $_ := set $spec "image" . }}
{{- end }}
{{- toYaml (omit $spec "component") }}
{{- end }}

{{/* A brand's texts: given in the block, or a file of the chart. */}}
{{- define "agent-store.prompt" -}}
{{- if .brand.prompt -}}
{{ .brand.prompt }}
{{- else if and .brand.promptFile (not .brand.promptFrom) -}}
{{ required (printf "brands.%s.promptFile: the chart has no file %s" .id .brand.promptFile) (.root.Files.Get .brand.promptFile) }}
{{- end }}
{{- end }}
{{- define "agent-store.catalog" -}}
{{- if .brand.catalog -}}
{{ kindIs "string" .brand.catalog | ternary .brand.catalog (toYaml .brand.catalog) }}
{{- else if and .brand.catalogFile (not .brand.catalogFrom) -}}
{{ required (printf "brands.%s.catalogFile: the chart has no file %s" .id .brand.catalogFile) (.root.Files.Get .brand.catalogFile) }}
{{- end }}
{{- end }}

{{/* Where a Deployment's pods may go; nothing when nothing is said. */}}
{{- define "agent-store.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* A pod that runs one of our commands to its end. Call with (dict "root" $ "name" "tick" "args" … "env" … "envFrom" … "resources" …). */}}
{{- define "agent-store.job" -}}
metadata:
  labels:
    {{- include "agent-store.podLabels" (dict "root" .root "component" .name) | nindent 4 }}
spec:
  serviceAccountName: agent-store-jobs
  automountServiceAccountToken: false
  restartPolicy: OnFailure
  securityContext:
    {{- include "agent-store.podSecurity" .root | nindent 4 }}
  containers:
    - name: {{ .name }}
      image: {{ include "agent-store.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: [{{ .name }}]
      env:
        - name: AGENT_STORE_DATA
          value: /var/lib/agent-store
        - name: AGENT_STORE_LOG_FORMAT
          value: json
        {{- with .env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      envFrom:
        {{- include "agent-store.envFrom" .root | nindent 8 }}
        {{- with .envFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      securityContext:
        {{- include "agent-store.containerSecurity" .root | nindent 8 }}
      volumeMounts:
        {{- include "agent-store.mounts" .root | nindent 8 }}
  volumes:
    {{- include "agent-store.volumes" .root | nindent 4 }}
{{- end }}

{{/* The same for images that are not ours: their user is 999. */}}
{{- define "agent-store.database.podSecurity" -}}
{{ include "agent-store.podSecurity" . | replace "65532" "999" }}
{{- end }}
{{- define "agent-store.database.containerSecurity" -}}
{{ include "agent-store.containerSecurity" . | replace "65532" "999" }}
{{- end }}

{{/* Annotations of what stands before a deletion; the argument is its weight. */}}
{{- define "agent-store.before-delete" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* The name of the LambdaAgent that runs `whatsapp`; empty when none of this release does. */}}
{{- define "agent-store.gateway" -}}
{{- range $name, $agent := .Values.agents }}
{{- if and $agent (has "whatsapp" $agent.run) -}}
{{ $name }}
{{- end }}
{{- end }}
{{- end }}

{{/* Names of this release's LambdaAgents, and ids of its brands, with blanks between. */}}
{{- define "agent-store.names" -}}
{{- $names := list }}
{{- range $name, $agent := .Values.agents }}
{{- if $agent }}
{{- $names = append $names $name }}
{{- end }}
{{- end }}
{{- range $id := splitList " " (include "agent-store.brands" .) }}
{{- if $id }}
{{- $names = append $names (printf "ai-seller-%s" $id) }}
{{- end }}
{{- end }}
{{- join " " $names }}
{{- end }}
{{- define "agent-store.brands" -}}
{{- $ids := list }}
{{- range $id, $brand := .Values.brands }}
{{- if $brand }}
{{- $ids = append $ids $id }}
{{- end }}
{{- end }}
{{- join " " $ids }}
{{- end }}

{{/* Annotations of what belongs to `helm test`; the argument is its weight. */}}
{{- define "agent-store.test" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* Not two on a node, and evenly over zones, where that can be had. Call as the labels. */}}
{{- define "agent-store.spread" -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "agent-store.selector" . | nindent 14 }}
{{- end }}
{{- define "agent-store.zones" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "agent-store.selector" . | nindent 8 }}
{{- end }}

{{/* A setting as text. Numbers as they were written, and what stands in braces is a template. */}}
{{- define "agent-store.setting" -}}
{{- tpl (kindIs "float64" .value | ternary (toJson .value) (toString .value)) .root }}
{{- end }}
