{{- define "statefun.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- define "statefun.selector" -}}
app.kubernetes.io/name: statefun
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- define "statefun.labels" -}}
{{ include "statefun.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}
{{- define "statefun.pod" -}}
metadata:
  labels: {{- include "statefun.selector" . | nindent 4 }}
  annotations:
    # Other files are other pods.
    checksum/modules: {{ toYaml .Values.modules | sha256sum }}
    prometheus.io/scrape: "true"
    prometheus.io/port: "9090"
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "statefun.name" . }}
  terminationGracePeriodSeconds: {{ add .Values.stopTimeout 60 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    fsGroup: 10001
    seccompProfile: {type: RuntimeDefault}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: worker
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - --module=/etc/statefun
        - --state-dir=/var/lib/statefun/state
        - --workers={{ .Values.workers }}
        {{- with .Values.cluster }}
        {{- if .name }}
        - --cluster={{ .name }}
        - --kafka={{ .kafka }}
        {{- end }}
        {{- end }}
        {{- with .Values.checkpoints }}
        - --checkpoints={{ . }}
        {{- end }}
        - --host=0.0.0.0
        - --metrics-port=9090
        - --stop-timeout={{ .Values.stopTimeout }}s
        - --log-format=json
        {{- with .Values.extraArgs }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- with .Values.env }}
      env: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.envFromSecrets }}
      envFrom:
        {{- range . }}
        - secretRef: {name: {{ . }}}
        {{- end }}
      {{- end }}
      ports:
        - {name: metrics, containerPort: 9090}
      startupProbe:
        httpGet: {path: /livez, port: metrics}
        periodSeconds: 2
        failureThreshold: 300
      livenessProbe:
        httpGet: {path: /livez, port: metrics}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 5
        timeoutSeconds: 5
      resources: {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: modules, mountPath: /etc/statefun, readOnly: true}
        - {name: state, mountPath: /var/lib/statefun}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: modules
      configMap: {name: {{ include "statefun.name" . }}-modules}
    - name: tmp
      emptyDir: {medium: Memory, sizeLimit: 64Mi}
    {{- if .Values.cluster.name }}
    # Files on their way: nothing in it lasts.
    - name: state
      emptyDir: {}
    {{- end }}
{{- end -}}
