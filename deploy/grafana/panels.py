"""How panels look: one function for each kind, so that the same thing looks the same on every dashboard.

Knows Grafana's builders. Must not know any metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorOptions
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

GRID = 24  # columns
COUNTS = ("none", "short")
STAT_HEIGHT = 4
GRAPH_HEIGHT = 8
SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
RUNBOOK = "${runbook}"

GREEN, YELLOW, ORANGE, RED = "green", "#EAB839", "orange", "red"
BLUE, PURPLE, GREY = "blue", "purple", "#8e8e8e"

Panel = Builder[dashboard.Panel]
Steps = Sequence[tuple[float, str]]  # from this value on, this colour


@dataclass(frozen=True, slots=True)
class Text:
    """What a panel says of itself: its title, what it shows and when to worry, and its part of the runbook."""

    title: str
    description: str
    runbook: str = ""  # one of its headings, such as "#the-fence-fails", or one of its pages, such as "held"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and what its series are called."""

    expr: str
    legend: str = ""


def tile(
    text: Text,
    *queries: Query,
    unit: str,
    width: int,
    steps: Steps = (),
    base: str = GREEN,
    names: Mapping[float, tuple[str, str]] | None = None,
    nothing: str = "nothing yet",
    over_all: bool = False,
) -> Panel:
    """A number as it is now, with a small curve. `names`: words and colours in place of some values. `over_all`: the
    query itself covers all the time on the screen, so that one moment is asked for, and there is no curve. `base`: the
    colour below all steps."""
    panel = (
        stat.Panel()
        .unit(unit)
        .no_value(nothing)
        .height(STAT_HEIGHT)
        .span(width)
        .thresholds(_thresholds(steps, base))
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common.BigValueColorMode.BACKGROUND if steps or names else common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.NONE if over_all or names else common.BigValueGraphMode.AREA)
    )
    if names:
        results = {
            f"{value:g}": dashboard.ValueMappingResult(text=word, color=color) for value, (word, color) in names.items()
        }
        panel.mappings([dashboard.ValueMap(options=results)])
    if unit in COUNTS:
        panel.decimals(0)  # what a counter grew by is estimated, and half a record looks wrong
    panel.targets(_targets(queries, instant=over_all))
    return _titled(panel, text)


def curves(
    text: Text,
    *queries: Query,
    unit: str,
    width: int,
    steps: Steps = (),
    stacked: bool = False,
    bars: bool = False,
    logarithmic: bool = False,
    colors: Mapping[str, str] | None = None,
) -> Panel:
    """Values over time. `steps` are drawn as lines; `colors` by the name of a series."""
    panel = (
        timeseries.Panel()
        .unit(unit)
        .height(GRAPH_HEIGHT)
        .span(width)
        .draw_style(common.GraphDrawStyle.BARS if bars else common.GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(70 if bars else 25 if stacked else 5)
        .show_points(common.VisibilityMode.NEVER)
        .thresholds(_thresholds(steps))
        .legend(_legend())
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
        .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    )
    if steps:
        style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel.thresholds_style(style)
    if stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    if logarithmic:
        scale = common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10)
        panel.scale_distribution(scale)
    else:
        panel.min(0)
    for name, color in (colors or {}).items():
        fixed = dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})
        panel.override_by_name(name, [fixed])
    panel.targets(_targets(queries))
    return _titled(panel, text)


def spread(text: Text, expr: str, *, unit: str, width: int) -> Panel:
    """A histogram over time: how many observations of each size."""
    panel = (
        heatmap.Panel()
        .unit(unit)
        .height(GRAPH_HEIGHT)
        .span(width)
        .calculate(False)
        .color(_Heat())
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(common.AxisPlacement.LEFT))
        .cell_gap(1)
        .show_legend()
    )
    panel.targets(_targets([Query(expr, "{{le}}")], shape=PromQueryFormat.HEATMAP))
    return _titled(panel, text)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its own query, one value a row."""

    name: str
    expr: str
    unit: str
    steps: Steps = ()
    base: str = GREEN  # the colour below all steps


def rows(text: Text, *columns: Column, keys: Mapping[str, str], width: int, height: int) -> Panel:
    """A table of what is so now; queries are joined by the labels `keys`, shown under these names. The first column
    sorts it, greatest first."""
    panel = (
        table.Panel()
        .unit(columns[0].unit)
        .height(height)
        .span(width)
        .sort_by([common_builders.TableSortByFieldState().display_name(columns[0].name).desc(True)])
        .with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(dashboard.DataTransformerConfig(id_val="organize", options=_columns(columns, keys)))
    )
    for column in columns:
        shown = [dashboard.DynamicConfigValue("unit", column.unit)]
        if column.steps:
            shown.append(dashboard.DynamicConfigValue("thresholds", _thresholds(column.steps, column.base).build()))
            shown.append(dashboard.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
        panel.override_by_name(column.name, shown)
    queries = [Query(column.expr) for column in columns]
    panel.targets(_targets(queries, instant=True, shape=PromQueryFormat.TABLE))
    return _titled(panel, text)


def _columns(columns: Sequence[Column], keys: Mapping[str, str]) -> dict[str, object]:
    """Grafana calls a table's only value "Value", and several of them "Value #A" and so on."""
    several = len(columns) > 1
    values = {f"Value #{_letter(n)}" if several else "Value": column.name for n, column in enumerate(columns)}
    order = {name: number for number, name in enumerate([*keys, *values])}
    return {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": {**keys, **values}}


class _Heat(Builder[HeatmapColorOptions]):
    def build(self) -> HeatmapColorOptions:
        return HeatmapColorOptions(
            mode=HeatmapColorMode.SCHEME, scheme="Oranges", fill="dark-orange", exponent=0.5, steps=64
        )


def _titled(panel: stat.Panel | timeseries.Panel | heatmap.Panel | table.Panel, text: Text) -> Panel:
    panel.title(text.title).description(text.description).datasource(SOURCE)
    if text.runbook:
        link = builders.DashboardLink("Runbook").type(dashboard.DashboardLinkType.LINK).target_blank(True)
        panel.links([link.url(_page(text.runbook))])
    return panel


def _page(where: str) -> str:
    """Its address on the site of the documentation."""
    return f"{RUNBOOK}.html{where}" if where.startswith("#") else f"{RUNBOOK}/{where}.html"


def _legend() -> common_builders.VizLegendOptions:
    return (
        common_builders.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.RIGHT)
        .calcs(["lastNotNull", "max"])
        .sort_by("Max")
        .sort_desc(True)
    )


def _thresholds(steps: Steps, base: str = GREEN) -> builders.ThresholdsConfig:
    rising = [dashboard.Threshold(None, base), *(dashboard.Threshold(value, color) for value, color in steps)]
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(rising)


def _targets(
    queries: Sequence[Query], *, instant: bool = False, shape: PromQueryFormat = PromQueryFormat.TIME_SERIES
) -> list[Builder[Dataquery]]:
    targets: list[Builder[Dataquery]] = []
    for number, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(_letter(number)).datasource(SOURCE).format(shape)
        if query.legend:
            target.legend_format(query.legend)
        targets.append(target.instant() if instant else target.range())
    return targets


def _letter(number: int) -> str:
    return chr(ord("A") + number)
