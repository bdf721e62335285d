"""What the report says of given rows."""

import os
import tempfile
import unittest

import report

COLUMNS = [{"key": "cpu_us", "title": "CPU µs/request", "digits": 1}, {"key": "rps", "title": "requests/s", "digits": 0}]


def group(*rows):
    """A group with these rows."""
    return {"columns": COLUMNS, "rows": [{"round": 1, **row} for row in rows]}


class Tables(unittest.TestCase):
    def test_a_cell_is_the_median_with_the_least_and_the_most(self):
        rows = [{"candidate": "one", "cpu_us": value} for value in (30.0, 10.0, 20.5)]
        self.assertIn("| one | 20.5 (10.0 to 30.0) |", report.table(group(*rows)))

    def test_a_column_that_nobody_measured_is_left_out_and_a_missing_figure_is_blank(self):
        table = report.table(group({"candidate": "one", "cpu_us": 1.0}, {"candidate": "two"}))
        self.assertNotIn("requests/s", table)
        self.assertIn("| two |  |  |", table)

    def test_rounds_with_errors_are_told_and_do_not_count(self):
        rows = [{"candidate": "one", "cpu_us": 1.0 + many, "errors": {"status": many, "read": 0}} for many in (0, 3, 2)]
        line = "| one | 1.0 | ERRORS: 5 status; 2 of 3 rounds do not count |"
        self.assertIn(line, report.table(group(*rows)))

    def test_how_many_tokens_there_were_is_told(self):
        row = {"candidate": "one", "cpu_us": 1.0, "tokens_sent": 1200, "tokens_made": 1000, "seconds": 1.0}
        self.assertIn("tokens came twice", report.table(group({**row, "ran_out": True})))
        self.assertIn("at most 900 of 1,000 tokens in 1 s", report.table(group({**row, "tokens_sent": 900, "ran_out": False})))

    def test_what_was_saved_is_loaded(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "compare.json")
            self.assertEqual(report.load(path), {"groups": {}})
            report.save(path, {"groups": {"core": group({"candidate": "one", "cpu_us": 1.5})}})
            self.assertEqual(report.median(report.load(path), "core", "one", "cpu_us"), 1.5)
            self.assertIsNone(report.median(report.load(path), "core", "two", "cpu_us"))


if __name__ == "__main__":
    unittest.main()
