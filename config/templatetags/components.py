"""Template tags of the design system, built into every template; docs/design-language.md shows each in use."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from django import template
from django.core.paginator import Page
from django.forms import BaseForm, BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from config import charts, navigation

register = template.Library()

BANNER_ICONS = {"info": "info", "success": "success", "warning": "warning", "danger": "error"}
TOAST_ICONS = {"info": "info", "debug": "info", "success": "success", "warning": "warning", "error": "error"}


def _attributes(attributes: Mapping[str, object]) -> SafeString:
    """Keywords as HTML attributes: `aria_label` becomes aria-label; True is bare, False and None are left out."""
    present = [(name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items()]
    return format_html_join(
        "",
        "{}",
        (
            (format_html(" {}", name) if value is True else format_html(' {}="{}"', name, value),)
            for name, value in present
            if value is not None and value is not False
        ),
    )


def _fresh_id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(4)}"


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite; decoration unless it has a label."""
    named = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html('<svg class="icon" {}><use href="{}#{}"></use></svg>', named, static("config/icons.svg"), name)


@register.simple_tag
def button(
    label: str,
    variant: str = "secondary",
    size: str = "",
    icon: str = "",
    icon_only: bool = False,
    href: str = "",
    class_: str = "",
    **attributes: object,
) -> SafeString:
    """A button, or a link that looks like one when `href` is given; other keywords become attributes."""
    classes = ["button", f"button--{variant}", f"button--{size}" if size else "", "button--icon" if icon_only else ""]
    attributes["class"] = " ".join(filter(None, [*classes, class_]))
    if href:
        attributes["href"] = href
    else:
        attributes.setdefault("type", "button")
    if icon_only:
        attributes.setdefault("title", label)
    words = format_html('<span class="visually-hidden">{}</span>', label) if icon_only else format_html("{}", label)
    return format_html(
        "<{0}{1}>{2}{3}</{0}>",
        "a" if href else "button",
        _attributes(attributes),
        _icon(icon) if icon else "",
        words,
    )


_icon = icon


@register.simple_tag
def field(bound: BoundField, **attributes: Any) -> str:
    """Label, control, help and errors of one form field, wired together for a screen reader."""
    if bound.is_hidden:
        return bound.as_widget()
    widget = bound.field.widget
    described = [f"{bound.auto_id}_helptext"] if bound.help_text else []
    if bound.errors:
        described.append(f"{bound.auto_id}_error")
    attributes = {name.replace("_", "-"): value for name, value in attributes.items()}
    if described:
        attributes["aria-describedby"] = " ".join(described)
    kind = "control"
    if isinstance(widget, CheckboxInput):
        kind = "checkbox"
    elif isinstance(widget, RadioSelect | CheckboxSelectMultiple):
        kind = "choices"
    else:
        attributes["class"] = f"field__control {widget.attrs.get('class', '')}".strip()
    context = {"field": bound, "control": bound.as_widget(attrs=attributes), "kind": kind}
    return render_to_string("components/field.html", context)


@register.simple_tag
def form_fields(form: BaseForm) -> str:
    """Errors of the form as a whole, then every field."""
    return render_to_string("components/form_fields.html", {"form": form})


@register.simple_block_tag
def card(content: str, title: str = "", lead: str = "", **attributes: object) -> str:
    """A titled section on a surface of its own."""
    context = {"content": content, "title": title, "lead": lead, "attributes": _attributes(attributes)}
    return render_to_string("components/card.html", context)


@register.simple_block_tag
def banner(content: str, kind: str = "info") -> str:
    """A strip that says something about the page: `info`, `success`, `warning` or `danger`."""
    return render_to_string("components/banner.html", {"content": content, "kind": kind, "icon": BANNER_ICONS[kind]})


@register.simple_tag
def badge(label: object, kind: str = "neutral") -> SafeString:
    return format_html('<span class="badge badge--{}">{}</span>', kind, label)


@register.simple_tag
def avatar(user: Any) -> SafeString:
    """The first letter of the person's name; decoration, the name stands beside it."""
    return format_html('<span class="avatar" aria-hidden="true">{}</span>', user.get_short_name()[:1].upper())


@register.simple_block_tag
def dialog(content: str, name: str, title: str, wide: bool = False) -> str:
    """A native dialog with the id `name`; any `[data-dialog-open]` with that value opens it."""
    return render_to_string("components/dialog.html", {"content": content, "name": name, "title": title, "wide": wide})


@register.simple_block_tag
def menu(
    content: str,
    label: str,
    icon: str = "more",
    icon_only: bool = True,
    size: str = "small",
    place: str = "",
    name: str = "",
) -> str:
    """A button and the popover it opens; `place` is empty, `start` or `above`."""
    context = {
        "content": content,
        "label": label,
        "icon": icon,
        "icon_only": icon_only,
        "size": size,
        "place": place,
        "name": name or _fresh_id("menu"),
    }
    return render_to_string("components/menu.html", context)


@register.simple_block_tag
def empty_state(content: str, title: str, icon: str = "sparkle") -> str:
    """What a list shows while it has nothing to show."""
    return render_to_string("components/empty_state.html", {"content": content, "title": title, "icon": icon})


@register.simple_tag
def tabs(items: Sequence[Mapping[str, object]], label: str = "") -> str:
    """Links between sibling pages; each item has `label`, `url`, `current` and perhaps `count`."""
    return render_to_string("components/tabs.html", {"items": items, "label": label})


@register.simple_tag(takes_context=True)
def pagination(context: template.RequestContext, page: Page[Any], parameter: str = "page") -> str:
    """Older and newer, keeping the rest of the query; nothing when there is one page."""
    if not page.has_other_pages():
        return ""
    query = context["request"].GET.copy()

    def address(number: int) -> str:
        query[parameter] = str(number)
        return f"?{query.urlencode()}"

    return render_to_string(
        "components/pagination.html",
        {
            "page": page,
            "previous": address(page.previous_page_number()) if page.has_previous() else "",
            "next": address(page.next_page_number()) if page.has_next() else "",
        },
    )


@register.simple_tag
def bar_chart(points: Sequence[tuple[object, float]], title: str, lead: str = "", unit: str = "") -> str:
    """A card with bars drawn on the server and the same figures as a table; points are (label, value)."""
    return _chart("bar", points, title=title, lead=lead, unit=unit)


@register.simple_tag
def line_chart(points: Sequence[tuple[object, float]], title: str, lead: str = "", unit: str = "") -> str:
    """A card with a line drawn on the server and the same figures as a table; points are (label, value)."""
    return _chart("line", points, title=title, lead=lead, unit=unit)


def _chart(kind: str, points: Sequence[tuple[object, float]], *, title: str, lead: str, unit: str) -> str:
    plot = charts.plot(points)
    context = {"kind": kind, "plot": plot, "title": title, "lead": lead, "unit": unit, "id": _fresh_id("chart")}
    return render_to_string("components/chart_card.html", context)


@register.filter
def toast_icon(tags: str) -> str:
    """The icon of a Django message level."""
    return TOAST_ICONS.get(tags.split(" ")[-1], "info")


@register.filter
def toast_kind(tags: str) -> str:
    level = tags.split(" ")[-1]
    return level if level in {"success", "warning", "error"} else "info"


@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> str:
    """The theme of this page: the person's, else the cookie's, else the device's."""
    return navigation.theme_of(context.get("request"))


@register.simple_tag(takes_context=True)
def site_navigation(context: template.Context) -> list[navigation.Link]:
    """Links of the settings-like pages that this person may open."""
    request = context.get("request")
    return navigation.links_for(request) if request is not None else []
