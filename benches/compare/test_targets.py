"""What targets and the plot say of given medians."""

import unittest
from xml.etree import ElementTree

import plot
from targets import Target, ratio


def results(**medians):
    """A main group with one row for each name."""
    rows = [{"candidate": name, "cpu_us": value} for name, value in medians.items()]
    return {"groups": {"core": {"title": "Title & more", "rows": rows}}}


class Targets(unittest.TestCase):
    def test_a_ratio_is_held_against_the_best_of_several(self):
        target = Target("ours", ratio("core", "ours", ["one", "two"]), 0.95)
        self.assertEqual(target.line(results(ours=9.5, one=10.0, two=11.0)), "| ours | ≤ 0.95 | 0.95 | met |")
        self.assertEqual(target.line(results(ours=9.6, one=11.0, two=10.0)), "| ours | ≤ 0.95 | 0.96 | **missed** |")

    def test_a_target_may_be_the_least_that_is_wanted(self):
        target = Target("two cores", ratio("core", "two", "one"), 1.8, least=True)
        self.assertIn("| met |", target.line(results(one=1.0, two=1.8)))
        self.assertIn("**missed**", target.line(results(one=1.0, two=1.7)))

    def test_what_was_not_measured_is_neither_met_nor_missed(self):
        target = Target("ours", ratio("core", "ours", ["one", "two"]), 0.95)
        for given in (results(ours=1.0, one=2.0), results(one=1.0, two=1.0), {"groups": {}}):
            self.assertIn("| not measured |", target.line(given))


class Plot(unittest.TestCase):
    def test_there_is_a_bar_for_each_candidate_with_processor_time(self):
        group = results(HAProxy=20.0, Doorward=10.0)["groups"]["core"]
        group["rows"].append({"candidate": "direct", "rps": 1.0})
        texts = [node.text for node in ElementTree.fromstring(plot.svg(group)).iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("HAProxy", texts)
        self.assertIn("10.0", texts)
        self.assertNotIn("direct", texts)


if __name__ == "__main__":
    unittest.main()
