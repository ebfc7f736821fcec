recipe_bugsink() { # from its wheel on PyPI, which contains the configuration for containers
  ensure python:3.13-slim
  cat >Dockerfile <<'E'
FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PORT=8000
WORKDIR /app
# Any version of certifi: an index that lags behind may not have the required one yet.
RUN pip install --no-cache-dir --no-deps bugsink==2.6.2 \
 && python -c 'from importlib.metadata import requires as r; print(*(x.split(">")[0] if "certifi" in x else x for x in r("bugsink") if "extra" not in x), sep="\n")' >/tmp/requirements.txt \
 && pip install --no-cache-dir -r /tmp/requirements.txt \
 && package=$(python -c 'import bugsink; print(bugsink.__path__[0])') \
 && cp "$package/conf_templates/docker.py.template" bugsink_conf.py \
 && install -D "$package/gunicorn.docker.conf.py" bugsink/gunicorn.docker.conf.py
RUN groupadd --gid 14237 bugsink && useradd --uid 14237 --gid 14237 bugsink && install -d -o bugsink -g bugsink /data
USER bugsink
EXPOSE 8000
CMD ["monofy", "bugsink-manage", "migrate", "snappea", "--database=snappea", "&&", "bugsink-manage", "migrate", "&&", "bugsink-manage", "prestart", "&&", "gunicorn", "--config", "bugsink/gunicorn.docker.conf.py", "--bind=0.0.0.0:$PORT", "bugsink.wsgi", "|||", "bugsink-runsnappea"]
E
}
