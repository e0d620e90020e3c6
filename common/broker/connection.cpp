#include "common/broker/connection.hpp"

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>

#include <algorithm>
#include <array>
#include <deque>

#include "common/broker/confirms.hpp"
#include "common/handle.hpp"

namespace karreg::broker {

namespace {

using State = Handle<amqp_connection_state_t_, amqp_destroy_connection>;
constexpr amqp_channel_t channel = 1;
constexpr int heartbeat_seconds = 15;

amqp_bytes_t bytes(const std::string& text) {
  return {text.size(), const_cast<char*>(text.data())};  // rabbitmq-c never writes through it
}

std::string text(amqp_bytes_t b) {
  return {static_cast<const char*>(b.bytes), b.len};
}

timeval to_timeval(std::chrono::milliseconds duration) {
  const auto ms = std::max<std::int64_t>(duration.count(), 0);
  return {static_cast<time_t>(ms / 1000), static_cast<suseconds_t>(ms % 1000 * 1000)};
}

/// Arguments of a declaration; the strings live as long as the table is used.
class Arguments {
 public:
  void add(std::string name, std::string value) {
    auto& stored = strings_.emplace_back(std::move(value));
    amqp_table_entry_t entry{};
    entry.key = bytes(strings_.emplace_back(std::move(name)));
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = bytes(stored);
    entries_.push_back(entry);
  }
  void add(std::string name, std::int64_t value, bool timestamp = false) {
    amqp_table_entry_t entry{};
    entry.key = bytes(strings_.emplace_back(std::move(name)));
    entry.value.kind = timestamp ? AMQP_FIELD_KIND_TIMESTAMP : AMQP_FIELD_KIND_I64;
    if (timestamp)
      entry.value.value.u64 = static_cast<std::uint64_t>(value);
    else
      entry.value.value.i64 = value;
    entries_.push_back(entry);
  }
  amqp_table_t table() { return {static_cast<int>(entries_.size()), entries_.data()}; }

 private:
  std::deque<std::string> strings_;
  std::vector<amqp_table_entry_t> entries_;
};

Error server_error(const std::string& doing, const amqp_rpc_reply_t& reply) {
  const std::string prefix = "broker, " + doing + ": ";
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
    return Error(ErrorKind::unavailable, prefix + amqp_error_string2(reply.library_error));
  if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto* closed = static_cast<const amqp_channel_close_t*>(reply.reply.decoded);
    const auto kind = closed->reply_code == AMQP_NOT_FOUND             ? ErrorKind::not_found
                      : closed->reply_code == AMQP_PRECONDITION_FAILED ? ErrorKind::conflict
                                                                       : ErrorKind::unavailable;
    return Error(kind, prefix + text(closed->reply_text));
  }
  if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto* closed = static_cast<const amqp_connection_close_t*>(reply.reply.decoded);
    return Error(ErrorKind::unavailable, prefix + text(closed->reply_text));
  }
  return Error(ErrorKind::unavailable, prefix + "the broker closed the connection");
}

}  // namespace

struct Connection::Impl {
  State state;
  bool confirming = false;
  Confirms confirms;

  Result<void> check(const std::string& doing) {
    const auto reply = amqp_get_rpc_reply(state.get());
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return ok();
    return server_error(doing, reply);
  }

  /// One method frame that is not a delivery: confirms settle, anything that closes is an error.
  Result<void> take(const amqp_frame_t& frame) {
    if (frame.frame_type != AMQP_FRAME_METHOD) return ok();
    switch (frame.payload.method.id) {
      case AMQP_BASIC_ACK_METHOD: {
        const auto* ack = static_cast<const amqp_basic_ack_t*>(frame.payload.method.decoded);
        confirms.settle(ack->delivery_tag, ack->multiple != 0);
        return ok();
      }
      case AMQP_BASIC_NACK_METHOD: {
        const auto* nack = static_cast<const amqp_basic_nack_t*>(frame.payload.method.decoded);
        confirms.settle(nack->delivery_tag, nack->multiple != 0);
        return Error(ErrorKind::unavailable, "the broker refused a message");
      }
      case AMQP_CHANNEL_CLOSE_METHOD:
      case AMQP_CONNECTION_CLOSE_METHOD: {
        amqp_rpc_reply_t reply{};
        reply.reply_type = AMQP_RESPONSE_SERVER_EXCEPTION;
        reply.reply = frame.payload.method;
        return server_error("connection", reply);
      }
      default:
        return ok();
    }
  }
};

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Result<Connection> Connection::open(const Address& address, std::chrono::milliseconds timeout) {
  auto impl = std::make_unique<Impl>();
  impl->state.reset(amqp_new_connection());
  auto* state = impl->state.get();
  auto* socket = amqp_tcp_socket_new(state);
  auto failed = [&](const std::string& why) {
    return Error(ErrorKind::unavailable,
                 "broker at " + address.host + ":" + std::to_string(address.port) + ": " + why);
  };
  auto limit = to_timeval(timeout);
  if (socket == nullptr) return failed("no socket");
  amqp_set_handshake_timeout(state, &limit);
  amqp_set_rpc_timeout(state, &limit);
  const int code = amqp_socket_open_noblock(socket, address.host.c_str(), address.port, &limit);
  if (code != AMQP_STATUS_OK) return failed(amqp_error_string2(code));
  const auto login =
      amqp_login(state, address.vhost.c_str(), 0, AMQP_DEFAULT_FRAME_SIZE, heartbeat_seconds,
                 AMQP_SASL_METHOD_PLAIN, address.user.c_str(), address.password.c_str());
  if (login.reply_type != AMQP_RESPONSE_NORMAL)
    return server_error("login as " + address.user, login);
  amqp_channel_open(state, channel);
  auto opened = impl->check("opening a channel");
  if (!opened) return opened.error();
  return Connection(std::move(impl));
}

Result<void> Connection::declare_exchanges() {
  auto* state = impl_->state.get();
  amqp_exchange_declare(state, channel, amqp_cstring_bytes(exchange), amqp_cstring_bytes("topic"),
                        0, 1, 0, 0, amqp_empty_table);
  auto done = impl_->check("declaring the exchange");
  if (!done) return done;
  amqp_exchange_declare(state, channel, amqp_cstring_bytes(dead_exchange),
                        amqp_cstring_bytes("fanout"), 0, 1, 0, 0, amqp_empty_table);
  done = impl_->check("declaring the exchange of dead letters");
  if (!done) return done;
  Arguments arguments;
  arguments.add("x-max-length", 10'000);
  amqp_queue_declare(state, channel, amqp_cstring_bytes(dead_queue), 0, 1, 0, 0, arguments.table());
  done = impl_->check("declaring the queue of dead letters");
  if (!done) return done;
  amqp_queue_bind(state, channel, amqp_cstring_bytes(dead_queue), amqp_cstring_bytes(dead_exchange),
                  amqp_empty_bytes, amqp_empty_table);
  return impl_->check("binding the queue of dead letters");
}

Result<void> Connection::declare_queue(const QueueSpec& spec) {
  auto* state = impl_->state.get();
  Arguments arguments;
  if (spec.quorum) arguments.add("x-queue-type", std::string("quorum"));
  if (spec.max_length) arguments.add("x-max-length", *spec.max_length);
  // What is dropped because a newer state replaced it is no dead letter; what a consumer rejects is
  // (Consumer).
  if (!spec.max_length) arguments.add("x-dead-letter-exchange", std::string(dead_exchange));
  amqp_queue_declare(state, channel, bytes(spec.name), 0, spec.durable ? 1 : 0,
                     spec.exclusive ? 1 : 0, 0, arguments.table());
  auto done = impl_->check("declaring queue " + spec.name);
  if (!done) return done;
  for (const auto& old : spec.replaces) {
    done = delete_queue(old);
    if (!done) return done;
  }
  for (const auto& binding : spec.bindings) {
    amqp_queue_bind(state, channel, bytes(spec.name), amqp_cstring_bytes(exchange), bytes(binding),
                    amqp_empty_table);
    done = impl_->check("binding queue " + spec.name + " to " + binding);
    if (!done) return done;
  }
  return ok();
}

Result<void> Connection::declare_stream(const std::string& name, const std::string& max_age) {
  Arguments arguments;
  arguments.add("x-queue-type", std::string("stream"));
  arguments.add("x-max-age", max_age);
  // Age is applied segment by segment: small ones let a quiet application's log be forgotten too.
  arguments.add("x-stream-max-segment-size-bytes", std::int64_t{4} << 20);
  amqp_queue_declare(impl_->state.get(), channel, bytes(name), 0, 1, 0, 0, arguments.table());
  return impl_->check("declaring stream " + name);
}

Result<void> Connection::delete_queue(const std::string& name) {
  amqp_queue_delete(impl_->state.get(), channel, bytes(name), 0, 0);
  return impl_->check("deleting queue " + name);
}

Result<void> Connection::enable_confirms() {
  amqp_confirm_select(impl_->state.get(), channel);
  auto done = impl_->check("asking for confirms");
  impl_->confirming = done.has_value();
  return done;
}

Result<void> Connection::publish(const std::string& exchange_name, const std::string& routing_key,
                                 const std::string& body) {
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG;
  properties.content_type = amqp_cstring_bytes("application/json");
  properties.delivery_mode = 2;
  const int code = amqp_basic_publish(impl_->state.get(), channel, bytes(exchange_name),
                                      bytes(routing_key), 0, 0, &properties, bytes(body));
  if (code != AMQP_STATUS_OK)
    return Error(ErrorKind::unavailable,
                 std::string("broker, publishing: ") + amqp_error_string2(code));
  if (impl_->confirming) impl_->confirms.published();
  return ok();
}

Result<void> Connection::wait_confirms(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!impl_->confirms.complete()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0)
      return Error(ErrorKind::unavailable, "the broker did not confirm in time");
    amqp_frame_t frame{};
    auto limit = to_timeval(left);
    const int code = amqp_simple_wait_frame_noblock(impl_->state.get(), &frame, &limit);
    if (code == AMQP_STATUS_TIMEOUT) continue;
    if (code != AMQP_STATUS_OK)
      return Error(ErrorKind::unavailable,
                   std::string("broker, waiting for confirms: ") + amqp_error_string2(code));
    auto taken = impl_->take(frame);
    if (!taken) return taken;
  }
  amqp_maybe_release_buffers(impl_->state.get());
  return ok();
}

Result<void> Connection::consume(const std::string& queue, std::uint16_t prefetch) {
  auto* state = impl_->state.get();
  amqp_basic_qos(state, channel, 0, prefetch, 0);
  auto done = impl_->check("setting the prefetch");
  if (!done) return done;
  amqp_basic_consume(state, channel, bytes(queue), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
  return impl_->check("consuming " + queue);
}

Result<void> Connection::consume_stream(const std::string& stream, const StreamStart& start,
                                        std::uint16_t prefetch) {
  auto* state = impl_->state.get();
  amqp_basic_qos(state, channel, 0, prefetch, 0);
  auto done = impl_->check("setting the prefetch");
  if (!done) return done;
  Arguments arguments;
  switch (start.at) {
    case StreamStart::At::first:
      arguments.add("x-stream-offset", std::string("first"));
      break;
    case StreamStart::At::last:
      arguments.add("x-stream-offset", std::string("last"));
      break;
    case StreamStart::At::next:
      arguments.add("x-stream-offset", std::string("next"));
      break;
    case StreamStart::At::offset:
      arguments.add("x-stream-offset", start.offset);
      break;
    case StreamStart::At::time:
      arguments.add("x-stream-offset", start.time_s, true);
      break;
  }
  amqp_basic_consume(state, channel, bytes(stream), amqp_empty_bytes, 0, 0, 0, arguments.table());
  return impl_->check("reading stream " + stream);
}

Result<std::optional<Delivery>> Connection::next(std::chrono::milliseconds timeout) {
  auto* state = impl_->state.get();
  amqp_maybe_release_buffers(state);
  amqp_envelope_t envelope{};
  auto limit = to_timeval(timeout);
  const auto reply = amqp_consume_message(state, &envelope, &limit, 0);
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
    if (reply.library_error == AMQP_STATUS_TIMEOUT) return std::optional<Delivery>{};
    if (reply.library_error == AMQP_STATUS_UNEXPECTED_STATE) {
      // A frame that is not a delivery is waiting.
      amqp_frame_t frame{};
      auto soon = to_timeval(std::chrono::milliseconds(100));
      const int code = amqp_simple_wait_frame_noblock(state, &frame, &soon);
      if (code == AMQP_STATUS_TIMEOUT) return std::optional<Delivery>{};
      if (code != AMQP_STATUS_OK) return server_error("consuming", reply);
      auto taken = impl_->take(frame);
      if (!taken) return taken.error();
      if (frame.frame_type == AMQP_FRAME_METHOD &&
          frame.payload.method.id == AMQP_BASIC_CANCEL_METHOD)
        return Error(ErrorKind::not_found, "the queue was deleted");
      return std::optional<Delivery>{};
    }
    return server_error("consuming", reply);
  }
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) return server_error("consuming", reply);
  Delivery delivery;
  delivery.tag = envelope.delivery_tag;
  delivery.routing_key = text(envelope.routing_key);
  delivery.body = text(envelope.message.body);
  const auto& properties = envelope.message.properties;
  if ((properties._flags & AMQP_BASIC_HEADERS_FLAG) != 0) {
    for (int i = 0; i < properties.headers.num_entries; ++i) {
      const auto& entry = properties.headers.entries[i];
      if (text(entry.key) == "x-stream-offset") delivery.stream_offset = entry.value.value.i64;
    }
  }
  amqp_destroy_envelope(&envelope);
  return std::optional<Delivery>(std::move(delivery));
}

Result<void> Connection::ack(std::uint64_t tag) {
  const int code = amqp_basic_ack(impl_->state.get(), channel, tag, 0);
  if (code == AMQP_STATUS_OK) return ok();
  return Error(ErrorKind::unavailable,
               std::string("broker, acknowledging: ") + amqp_error_string2(code));
}

Result<void> Connection::reject(std::uint64_t tag, bool requeue) {
  const int code = amqp_basic_reject(impl_->state.get(), channel, tag, requeue ? 1 : 0);
  if (code == AMQP_STATUS_OK) return ok();
  return Error(ErrorKind::unavailable,
               std::string("broker, rejecting: ") + amqp_error_string2(code));
}

Result<void> Connection::idle(std::chrono::milliseconds timeout) {
  amqp_frame_t frame{};
  auto limit = to_timeval(timeout);
  const int code = amqp_simple_wait_frame_noblock(impl_->state.get(), &frame, &limit);
  if (code == AMQP_STATUS_TIMEOUT) return ok();
  if (code != AMQP_STATUS_OK)
    return Error(ErrorKind::unavailable, std::string("broker: ") + amqp_error_string2(code));
  return impl_->take(frame);
}

}  // namespace karreg::broker
