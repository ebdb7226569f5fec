"""The figure of the rule graph shades the rules whose files no other rule reads."""

from matplotlib.patches import FancyBboxPatch

from gauntlet.reporting.figures import rulegraph

# trials feed the next round, which feeds trials
EDGES = [("data", "trial"), ("propose", "trial"), ("trial", "propose"), ("trial", "choose")]


def test_a_rule_that_feeds_an_earlier_one_is_no_result():
    (axes,) = rulegraph.draw(EDGES).axes
    shades = [
        patch.get_bbox()
        for patch in axes.patches
        if isinstance(patch, FancyBboxPatch) and patch.get_alpha()
    ]
    shaded = {
        text.get_text()
        for text in axes.texts
        if any(box.contains(*text.get_position()) for box in shades)
    }
    assert shaded == {"choose"}
