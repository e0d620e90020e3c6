#pragma once
/// What is said on an events socket (as existing client tools speak), free of any socket: frames as
/// text and when each is due.
///
/// The client speaks first and has ten seconds for its credentials. From then on it gets events,
/// and a heartbeat every few seconds that it must answer; one that does not, or that takes events
/// more slowly than they come, is sent away with the reason.

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/http/websocket.hpp"
#include "common/wire/news.hpp"

namespace karreg::api::clever {

/// The authorization of a client's first frame, {"message_type":"oauth","authorization":"..."}.
/// Error `invalid` with what is wrong with it.
Result<std::string> authorization_of(const std::string& frame);
/// The frame that tells @p event; nothing for events that are no beginning and no end of a
/// deployment and no news of an image.
std::optional<std::string> event_frame(const wire::PlatformEvent& event);

class EventConversation {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds time_for_credentials{10};
  static constexpr std::chrono::milliseconds heartbeat_delay{5000};
  /// Without an answer to any heartbeat.
  static constexpr std::chrono::seconds time_for_pong{12};
  static constexpr std::size_t most_waiting = 256;

  /// What is to be sent now.
  struct Step {
    std::vector<std::string> frames;
    struct Goodbye {
      http::CloseCode code;
      std::string reason;
    };
    std::optional<Goodbye> goodbye;  ///< after the frames; the conversation is over
    Time again;                      ///< look again then, or when something happened
  };

  explicit EventConversation(Time now) : began_(now) {}
  /// The credentials are good.
  void admit(Time now);
  /// They are not, or something else forbids this conversation.
  void refuse(http::CloseCode code, std::string why);
  /// A frame came after the credentials.
  void hear(const std::string& frame, Time now);
  /// An event to tell.
  void tell(std::string frame);
  /// The server ends.
  void leave();
  Step step(Time now);
  /// Whether there is something to send before the time that the last step named.
  bool has_more() const { return !waiting_.empty() || goodbye_; }

 private:
  Time began_;
  std::optional<Time> admitted_;
  Time pong_at_{};
  Time heartbeat_at_{};
  std::deque<std::string> waiting_;
  std::optional<Step::Goodbye> goodbye_;
};

}  // namespace karreg::api::clever
