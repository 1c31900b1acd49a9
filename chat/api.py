"""Conversations and replies as JSON."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.api_pages import NewestFirst
from accounts.authentication import key_behind
from accounts.models import User
from chat import events, sending, tree
from chat.choices import Choices
from chat.finding_api import FILTERS, filtered
from chat.models import Clarification, Conversation, Message, Reply


class ClarificationSerializer(serializers.ModelSerializer[Clarification]):
    """A reply that asks before it answers. Answer below it in a message, or regenerate it to have it just answer."""

    class Meta:
        model = Clarification
        fields = ["question", "options", "probability"]


class ReplySerializer(serializers.ModelSerializer[Reply]):
    id = serializers.UUIDField(source="message_id", read_only=True)
    conversation = serializers.UUIDField(source="message.conversation_id", read_only=True)
    prompt = serializers.UUIDField(source="message.parent_id", read_only=True)
    events_url = serializers.SerializerMethodField()
    clarification = serializers.SerializerMethodField()

    class Meta:
        model = Reply
        fields = ["id", "conversation", "prompt", "state", "events_url", "receipt", "clarification"]

    @extend_schema_field(ClarificationSerializer(allow_null=True))
    def get_clarification(self, reply: Reply) -> Any:
        asked = getattr(reply, "clarification", None) if reply.is_finished else None
        return ClarificationSerializer(asked).data if asked else None

    def get_events_url(self, reply: Reply) -> str:
        return reverse("reply-events", args=[reply.pk])


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    class Meta:
        model = Conversation
        fields = ["id", "title", "created_at", "updated_at", "is_temporary", "asks_first"]
        extra_kwargs = {
            "asks_first": {
                "help_text": "Whether a reply may be a question when the request is unclear; null: as in the settings."
            }
        }
        read_only_fields = ["id", "created_at", "updated_at", "is_temporary"]


class TurnSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="message.id")
    role = serializers.ChoiceField(choices=Message.Role.choices, source="message.role")
    content = serializers.CharField(source="message.content")
    created_at = serializers.DateTimeField(source="message.created_at")
    siblings = serializers.ListField(child=serializers.UUIDField())
    position = serializers.IntegerField()
    reply = ReplySerializer(allow_null=True)


class ConversationDetailSerializer(ConversationSerializer):
    path = serializers.SerializerMethodField()

    class Meta(ConversationSerializer.Meta):
        fields = [*ConversationSerializer.Meta.fields, "path"]

    @extend_schema(responses=TurnSerializer(many=True))
    def get_path(self, conversation: Conversation) -> Any:
        return TurnSerializer(many=True, instance=tree.current_path(conversation)).data


class WishSerializer(serializers.Serializer[Any]):
    """A wish for a reply."""

    client_id = serializers.UUIDField(help_text="Made by the client; sending it twice gives the same reply.")
    stream = serializers.BooleanField(
        default=False,
        help_text="Answer with server-sent events: `sent` with what the plain answer would be, then the reply's own.",
    )


class StartSerializer(WishSerializer):
    content = serializers.CharField(trim_whitespace=False, allow_blank=True, max_length=2_000_000)
    is_temporary = serializers.BooleanField(default=False)
    asks_first = serializers.BooleanField(
        default=None, allow_null=True, help_text="Whether a reply may be a question when the request is unclear."
    )


class SendSerializer(WishSerializer):
    content = serializers.CharField(trim_whitespace=False, allow_blank=True, max_length=2_000_000)
    # A declared field never becomes the class attribute that Serializer has under this name.
    parent = serializers.UUIDField(  # type: ignore[assignment]
        allow_null=True, help_text="The reply this follows; null for another first message."
    )


class PathSerializer(serializers.Serializer[Any]):
    message = serializers.UUIDField(help_text="The newest branch through this message becomes the shown path.")


class LatestFirst(NewestFirst):
    ordering = ("-updated_at", "-id")


class Conversations(ListAPIView[Conversation]):
    """The person's conversations, newest first; POST starts one."""

    serializer_class = ConversationSerializer
    pagination_class = LatestFirst

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return Conversation.objects.none()
        return filtered(Conversation.objects.of(_person(self.request)), self.request)

    @extend_schema(parameters=FILTERS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Your conversations, newest first; temporary ones are in no list."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request=StartSerializer, responses={201: ReplySerializer})
    def post(self, request: Request) -> HttpResponseBase:
        """Start one; the answer names the reply, whose events follow it."""
        given, is_streamed = _wished(StartSerializer, request)
        chosen = Choices(asks_first=given.pop("asks_first"))
        reply = sending.start_conversation(
            user=_person(request), now=timezone.now(), chosen=chosen, api_key=key_behind(request), **given
        )
        return _sent(reply, is_streamed)


class OneConversation(APIView):
    @extend_schema(responses=ConversationDetailSerializer)
    def get(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """The conversation with the path its owner last looked at."""
        return Response(ConversationDetailSerializer(_conversation(request, conversation_id)).data)

    @extend_schema(request=ConversationSerializer, responses=ConversationSerializer)
    def patch(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Rename it, or have it ask first."""
        conversation = _conversation(request, conversation_id)
        serializer = ConversationSerializer(conversation, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Delete it: it is gone from every list at once."""
        sending.delete_conversation(conversation=_conversation(request, conversation_id), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class Messages(APIView):
    @extend_schema(request=SendSerializer, responses={201: ReplySerializer})
    def post(self, request: Request, conversation_id: uuid.UUID) -> HttpResponseBase:
        """Say something; the answer names the reply, whose events follow it."""
        conversation = _conversation(request, conversation_id)
        given, is_streamed = _wished(SendSerializer, request)
        parent_id = given.pop("parent")
        parent = get_object_or_404(Message, pk=parent_id, conversation=conversation) if parent_id else None
        reply = sending.send_message(
            user=_person(request),
            conversation=conversation,
            parent=parent,
            now=timezone.now(),
            api_key=key_behind(request),
            **given,
        )
        return _sent(reply, is_streamed)


class Path(APIView):
    @extend_schema(request=PathSerializer, responses=ConversationDetailSerializer)
    def post(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Choose which branch to look at."""
        conversation = _conversation(request, conversation_id)
        message = get_object_or_404(
            Message, pk=_validated(PathSerializer, request)["message"], conversation=conversation
        )
        tree.select(conversation, message.pk)
        return Response(ConversationDetailSerializer(conversation).data)


class Regenerate(APIView):
    @extend_schema(request=WishSerializer, responses={201: ReplySerializer})
    def post(self, request: Request, reply_id: uuid.UUID) -> HttpResponseBase:
        """Another reply to the same message, beside this one."""
        given, is_streamed = _wished(WishSerializer, request)
        message = _reply(request, reply_id).message
        key = key_behind(request)
        reply = sending.regenerate(user=_person(request), message=message, now=timezone.now(), api_key=key, **given)
        return _sent(reply, is_streamed)


class Continue(APIView):
    @extend_schema(request=WishSerializer, responses={201: ReplySerializer})
    def post(self, request: Request, reply_id: uuid.UUID) -> HttpResponseBase:
        """Go on with a reply that was stopped or cut off: another one beside it that begins with its text."""
        given, is_streamed = _wished(WishSerializer, request)
        message = _reply(request, reply_id).message
        key = key_behind(request)
        reply = sending.continue_reply(user=_person(request), message=message, now=timezone.now(), api_key=key, **given)
        return _sent(reply, is_streamed)


class Stop(APIView):
    @extend_schema(request=None, responses={202: None})
    def post(self, request: Request, reply_id: uuid.UUID) -> Response:
        """Stop writing; what is there stays. Harmless for a finished reply."""
        sending.request_stop(reply=_reply(request, reply_id), now=timezone.now())
        return Response(status=status.HTTP_202_ACCEPTED)


def _person(request: Request) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
    return request.user


def _validated(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _wished(kind: type[WishSerializer], request: Request) -> tuple[dict[str, Any], bool]:
    """What is asked for, and whether the answer is to be a stream."""
    given = _validated(kind, request)
    return given, given.pop("stream")


# Made once: what its fields are takes longer to find out than a reply to be told in them.
_TOLD = ReplySerializer()


def _sent(reply: Reply, is_streamed: bool) -> HttpResponseBase:
    answer = _TOLD.to_representation(reply)
    return events.sent(reply, answer) if is_streamed else Response(answer, status=status.HTTP_201_CREATED)


def _conversation(request: Request, conversation_id: uuid.UUID) -> Conversation:
    return get_object_or_404(Conversation.objects.of(_person(request)), pk=conversation_id)


def _reply(request: Request, reply_id: uuid.UUID) -> Reply:
    return get_object_or_404(
        Reply.objects.select_related("message"),
        pk=reply_id,
        message__conversation__user=_person(request),
        message__conversation__deleted_at=None,
    )
