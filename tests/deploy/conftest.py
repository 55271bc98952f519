"""One helm for all tests of the chart: what it rendered once is not rendered again."""

import pytest

from tests.deploy.charts import Chart, Tool


@pytest.fixture(scope="session")
def chart(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart(tool("helm"), tmp_path_factory.mktemp("chart"))
