#include "common/broker/stream_reader.hpp"

namespace karreg::broker {

namespace {
constexpr std::uint16_t prefetch = 100;
}

Result<StreamReader> StreamReader::open(const Address& address, const std::string& stream,
                                        const StreamStart& start) {
  auto connection = Connection::open(address, std::chrono::seconds(5));
  if (!connection) return connection.error();
  auto consuming = connection->consume_stream(stream, start, prefetch);
  if (!consuming) return consuming.error();
  return StreamReader(std::move(*connection));
}

Result<std::optional<Delivery>> StreamReader::next(std::chrono::milliseconds timeout) {
  auto delivery = connection_.next(timeout);
  if (delivery && *delivery) {
    auto acked = connection_.ack((*delivery)->tag);
    if (!acked) return acked.error();
  }
  return delivery;
}

}  // namespace karreg::broker
