"""Where panels read from: the Prometheus that the variable `datasource` names, so that boards can be imported."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import DataSourceRef

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
