#pragma once
/// A serving process's end of its line to the master.

#include <boost/asio/posix/stream_descriptor.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/async/asio.hpp"
#include "common/descriptor.hpp"

namespace karreg::proxy {

class Orders {
 public:
  struct Order {
    std::string word;      ///< of the master (line.hpp); empty: the master is gone
    std::string sentence;  ///< what follows it
    std::vector<Descriptor> descriptors;
  };

  /// Takes @p fd over.
  Orders(asio::any_io_executor executor, int fd);

  awaitable<Order> next();
  void say(std::string_view word, std::string_view sentence = "");

 private:
  asio::posix::stream_descriptor line_;
};

}  // namespace karreg::proxy
