import pytest

pytest.register_assert_rewrite(*(f"tests.lab.compare.{name}_checks" for name in ("page", "plot", "record")))
