# docs/install.md says how to run it. Captures need no right at all:
#   docker run --rm -v "$PWD:/captures:ro" smtpwire audit mail.pcap
# An interface needs NET_RAW to open it, and SETUID and SETGID to become nobody after that:
#   docker run --rm --network host --user root --cap-drop ALL --cap-add NET_RAW --cap-add SETUID --cap-add SETGID \
#       --security-opt no-new-privileges smtpwire live -i eth0

FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN python3 -m venv /opt/smtpwire
RUN /opt/smtpwire/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.13-slim
COPY --from=build /opt/smtpwire /opt/smtpwire
RUN useradd --system --no-create-home --shell /usr/sbin/nologin smtpwire
ENV PATH="/opt/smtpwire/bin:$PATH"
WORKDIR /captures
USER smtpwire
ENTRYPOINT ["smtpwire"]
CMD ["--help"]
