# tlkit with everything that the tutorials need, checked and compiled: opens them without a
# network.
#
#     docker build -t tlkit .
#     docker run --rm -p 8888:8888 tlkit        # then open the URL that it prints
#
# Binder and .devcontainer use this file too. What is trained stays in the container; to keep it,
# mount a folder: -v "$PWD:/home/jovyan/work".
FROM golang:1.26.5-bookworm AS go
RUN cd /usr/local/go && rm -rf api doc test \
 && find src -name testdata -prune -exec rm -rf {} + && find src -name "*_test.go" -delete

FROM debian:bookworm-slim
# A C compiler links XLA; python3 runs JupyterLab and fetches the XLA plugin.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates gcc git libc6-dev python3-pip python3-venv \
 && rm -rf /var/lib/apt/lists/*
COPY --from=go /usr/local/go /usr/local/go

# Binder passes these two.
ARG NB_USER=jovyan
ARG NB_UID=1000
RUN useradd --create-home --uid "$NB_UID" --shell /bin/bash "$NB_USER"
ENV USER=$NB_USER HOME=/home/$NB_USER GOTOOLCHAIN=local
# The private JupyterLab is on the PATH, because Binder starts it by name.
ENV PATH=$HOME/.local/bin:/usr/local/go/bin:$HOME/.cache/tlkit/kernel/jupyter/bin:/usr/local/bin:/usr/bin:/bin

WORKDIR $HOME/transfer-learning
COPY --chown=$NB_UID:$NB_UID . .
RUN chown "$NB_UID:$NB_UID" .
USER $NB_UID

# Set-up builds gopls in the background: wait for it, as that process would end with this step. Then
# remove what only built the tools (sources, objects, modules of gopls), and fetch and compile again
# what cells compile against. The notebook shows that all of it works.
RUN go build -o "$HOME/.local/bin/tlkit" ./cmd/tlkit \
 && tlkit setup \
 && while tlkit doctor | grep -q "gopls .*is being built"; do sleep 2; done \
 && go clean -cache -modcache \
 && rm -rf "$HOME"/.cache/tlkit/kernel/tools-*/src "$HOME/.cache/pip" "$HOME/.cache/gopls" \
 && go mod download \
 && tlkit setup \
 && TLKIT_QUICK=1 tlkit run --out "$HOME/out" notebooks/02_image_statistics.ipynb \
 && rm -rf "$HOME/out" .tlkit notebooks/.tlkit "$HOME"/.cache/tlkit/sets "$HOME"/.cache/tlkit/features \
 && find "$HOME/go/pkg/mod/cache/download" -name "*.zip" -delete

EXPOSE 8888
CMD ["tlkit", "lab", "--browser=false", "--ip", "0.0.0.0", "--port", "8888"]
