// Events of deployments and images over a WebSocket, as existing client tools speak.
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "api/clever/event_conversation.hpp"
#include "api/clever/resources.hpp"
#include "api/events/hub.hpp"

namespace karreg::api::clever {

namespace {

using namespace boost::asio::experimental::awaitable_operators;

constexpr std::size_t max_frame = 16UL * 1024;

/// One open socket: what is said, and the bell that wakes who says it.
struct Session {
  explicit Session(const asio::any_io_executor& executor)
      : conversation(std::chrono::steady_clock::now()), bell(executor) {}
  void ring() { bell.cancel(); }

  EventConversation conversation;
  asio::steady_timer bell;
  EventHub::Place place;
};

awaitable<void> enter(const Services& services, EventHub& hub, Session& session, std::string frame,
                      SignedRequest request) {
  auto authorization = authorization_of(frame);
  if (!authorization) {
    session.conversation.refuse(http::CloseCode::policy, authorization.error().message());
    co_return;
  }
  auto identity = co_await authenticate(services, *authorization, std::move(request));
  if (!identity) {
    session.conversation.refuse(http::CloseCode::policy, http::public_message(identity.error()));
    co_return;
  }
  auto place = hub.listen(
      identity->user_id,
      [&session](const wire::PlatformEvent& event) {
        if (auto text = event_frame(event)) session.conversation.tell(std::move(*text));
        session.ring();
      },
      [&session] {
        session.conversation.leave();
        session.ring();
      });
  if (!place) {
    session.conversation.refuse(http::CloseCode::try_again_later, place.error().message());
    co_return;
  }
  session.place = std::move(*place);
  session.conversation.admit(std::chrono::steady_clock::now());
}

awaitable<void> hear(const Services& services, EventHub& hub, Session& session,
                     http::WebSocket& socket, SignedRequest request) {
  bool first = true;
  for (;;) {
    auto frame = co_await socket.read();
    if (!frame) co_return;
    if (first)
      co_await enter(services, hub, session, std::move(*frame), request);
    else
      session.conversation.hear(*frame, std::chrono::steady_clock::now());
    first = false;
    session.ring();
  }
}

awaitable<void> speak(Session& session, http::WebSocket& socket) {
  for (;;) {
    const auto step = session.conversation.step(std::chrono::steady_clock::now());
    for (const auto& frame : step.frames) {
      auto written = co_await socket.write(frame);
      if (!written) co_return;
    }
    if (step.goodbye) {
      co_await socket.close(step.goodbye->code, step.goodbye->reason);
      co_return;
    }
    // What was rung while this wrote is waiting already.
    if (session.conversation.has_more()) continue;
    session.bell.expires_at(step.again);
    (void)co_await session.bell.async_wait(as_result);
  }
}

awaitable<void> converse(const Services& services, EventHub& hub, http::Request& request,
                         http::ResponseWriter& writer) {
  // Clients that sign do so for this address, not for the one of the upgrade.
  const SignedRequest as_signed{"GET",
                                scheme_of(services.settings.public_url),
                                std::string(request.headers.get("Host").value_or("")),
                                "/v2/events/",
                                {}};
  auto socket = co_await writer.upgrade(max_frame);
  if (!socket) {
    if (!writer.started()) co_await writer.send(http::error_response(socket.error()));
    co_return;
  }
  const auto executor = co_await asio::this_coro::executor;
  Session session(executor);
  co_await (hear(services, hub, session, **socket, as_signed) || speak(session, **socket));
}

}  // namespace

void add_events(Routes& routes, const Services& services, EventHub& hub) {
  routes.add_stream("GET", "/v2/events/event-socket",
                    [&services, &hub](http::Request& request, http::ResponseWriter& writer,
                                      const http::PathParameters&) {
                      return converse(services, hub, request, writer);
                    });
}

}  // namespace karreg::api::clever
