import pytest
from jinja2 import TemplateNotFound, UndefinedError

from gateway.console.render import Renderer


def test_everything_is_escaped_whatever_the_template_is_called():
    page = Renderer().page("bare_error.html", {"message": "<b>&\"'"}, 418)
    assert page.status_code == 418
    assert b"&lt;b&gt;&amp;&#34;&#39;" in page.body


def test_a_value_that_is_missing_is_an_error_and_not_a_blank():
    with pytest.raises(UndefinedError):
        Renderer().page("bare_error.html", {})


def test_templates_come_from_the_package_alone():
    with pytest.raises(TemplateNotFound):
        Renderer().page("../app.py", {})
