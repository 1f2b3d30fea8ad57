import pytest

pytest.register_assert_rewrite("tests.lab.compare.page_checks", "tests.lab.compare.plot_checks")
