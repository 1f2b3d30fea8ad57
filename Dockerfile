# The image of all workers and of the client; which one it is, its command decides.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

COPY requirements.lock pyproject.toml ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock

COPY . .
# A new volume mounted at /data takes over this owner.
RUN pip install --no-cache-dir --no-build-isolation --no-deps --editable . \
    && useradd --create-home lab \
    && install --directory --owner=lab /data
USER lab
