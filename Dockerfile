# The image of the example's worker; target "flower" adds Flower to it, target "web" the web app.

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1
# A fixed id, so that files in shared volumes belong to the same user in every image.
RUN useradd --uid 10001 --no-create-home worker \
    && install --directory --owner=worker /srv/inputs /srv/outputs
WORKDIR /srv/jobstate
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY jobstate jobstate
RUN pip install --no-cache-dir --constraint constraints.txt ".[binary,cli,metrics]" "pillow>=11"
COPY tasks tasks
COPY workers workers
ENV JOBSTATE_DEMO_INPUT=/srv/inputs JOBSTATE_DEMO_OUTPUT=/srv/outputs

FROM base AS flower
RUN pip install --no-cache-dir --constraint constraints.txt ".[flower]"
USER 10001
EXPOSE 5555
CMD ["celery", "--app", "workers.app", "flower", "--conf=workers/flowerconfig.py"]

FROM base AS web
RUN pip install --no-cache-dir --constraint constraints.txt \
    "fastapi>=0.115" "jinja2>=3.1" "python-multipart>=0.0.20" "uvicorn>=0.35"
COPY web web
USER 10001
EXPOSE 8000
# Open pages have a connection each, which would hold the end up.
CMD ["uvicorn", "web.app:app", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "5"]

# The last target is what a plain `docker build .` makes.
FROM base AS worker
USER 10001
# Without a shell: Celery itself must hear the signal that asks it to stop.
CMD ["celery", "--app", "workers.app", "worker", "--loglevel", "INFO"]
