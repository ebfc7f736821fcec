recipe_python() {
  # python.org's layout out of Debian's python3.13: a venv whose prefix is /usr/local gives
  # /usr/local/bin/{python,python3,pip}, /usr/local/lib/python3.13/site-packages and no
  # externally-managed block, as in the official image.
  cat >Dockerfile <<X
FROM $BASE
ENV LANG=C.UTF-8 PYTHON_VERSION=3.13
RUN $APT python3.13 python3.13-venv libpython3.13-dev tzdata netbase \\
 && $CLEAN \\
 && rm -f /usr/lib/python3.13/EXTERNALLY-MANAGED \\
 && python3.13 -m venv --system-site-packages /usr/local \\
 && ln -sf python3.13 /usr/local/bin/python3 && ln -sf python3.13 /usr/local/bin/python \\
 && rm -f /usr/local/bin/[Aa]ctivate* /usr/local/.gitignore
CMD ["python3"]
X
}
