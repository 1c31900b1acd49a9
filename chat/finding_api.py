"""Search as JSON, and the filters of the list of conversations."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from accounts.models import User
from chat import search
from chat.models import Conversation


class FilterSerializer(serializers.Serializer[Any]):
    """What of the conversations: all that is asked for must hold."""

    archived = serializers.BooleanField(default=False, help_text="Those put away instead of those in the list.")
    pinned = serializers.BooleanField(allow_null=True, default=None, help_text="Only pinned ones, or only the others.")
    folder = serializers.UUIDField(allow_null=True, default=None, help_text="Only those in this folder.")
    updated_after = serializers.DateTimeField(allow_null=True, default=None, help_text="Only those that changed since.")


def filtered(conversations: QuerySet[Conversation], request: Request) -> QuerySet[Conversation]:
    """The kept conversations that the request's parameters ask for. Raises `ValidationError` naming the field."""
    wish = FilterSerializer(data=request.query_params)
    wish.is_valid(raise_exception=True)
    given = wish.validated_data
    found = conversations.filter(is_temporary=False, archived_at__isnull=not given["archived"])
    if given["pinned"] is not None:
        found = found.filter(pinned_at__isnull=not given["pinned"])
    if given["folder"]:
        found = found.filter(folder=given["folder"])
    if given["updated_after"]:
        found = found.filter(updated_at__gt=given["updated_after"])
    return found


class QuerySerializer(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=search.LONGEST_QUERY, help_text="Words, or part of one.")
    limit = serializers.IntegerField(default=20, min_value=1, max_value=search.HITS)
    cursor = serializers.CharField(default="", allow_blank=True, help_text="As `next` has it: where the page begins.")


class HitSerializer(serializers.Serializer[search.Hit]):
    conversation = serializers.UUIDField(source="conversation.pk")
    title = serializers.CharField(source="conversation.title")
    message = serializers.UUIDField(source="message_id", allow_null=True, help_text="Null where the title matches.")
    excerpt_html = serializers.CharField(source="excerpt", help_text="Escaped, with the hits in <mark>.")


class HitsSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True, help_text="The page after this one.")
    results = HitSerializer(many=True)


class Search(APIView):
    @extend_schema(parameters=[QuerySerializer], responses=HitsSerializer)
    def get(self, request: Request) -> Response:
        """Words and parts of words in your messages and titles, titles first, a page at a time."""
        wish = QuerySerializer(data=request.query_params)
        wish.is_valid(raise_exception=True)
        given = wish.validated_data
        try:
            page: Any = search.page_of(
                cast(User, request.user), given["q"], limit=given["limit"], cursor=given["cursor"]
            )
        except search.BadCursor as error:
            raise Http404 from error
        hits, cursor = page
        after = replace_query_param(request.build_absolute_uri(), "cursor", cursor) if cursor else None
        return Response({"next": after, "results": HitSerializer(hits, many=True).data})


FILTERS: list[OpenApiParameter | type[serializers.Serializer[Any]]] = [FilterSerializer]
