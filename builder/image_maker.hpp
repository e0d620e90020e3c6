#pragma once
/// Makes the images of a runtime when the first app needs them.

#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "builder/files.hpp"
#include "common/async/child.hpp"
#include "common/error.hpp"

namespace karreg::builder {

/// A runtime, perhaps with packages of Debian beside its own.
struct WantedImage {
  std::string runtime;  ///< of the recipes: "python"
  std::vector<std::string> packages = {};
  std::vector<std::string> build_packages = {};  ///< in its build image alone
};

class ImageMaker {
 public:
  /// @p command: the program images/build; empty: the platform's operator makes images. @p images:
  /// the store.
  ImageMaker(std::filesystem::path command, std::filesystem::path images)
      : command_(std::move(command)), images_(std::move(images)) {}

  /// Makes the images of @p wanted, and gives each line about it to @p say. Any thread; one
  /// is at it at a time. Error `invalid`: Debian does not have a package; `internal`: it
  /// cannot be made, with what its program said last; @p alive's errors.
  Result<void> make(const WantedImage& wanted, const std::function<void(const std::string&)>& say,
                    const KeepAlive& alive);
  /// Any thread: ends what is being made. What is done so far is kept.
  void stop() { child_.stop(); }

 private:
  std::filesystem::path command_;
  std::filesystem::path images_;
  std::timed_mutex one_at_a_time_;
  Child child_;
};

}  // namespace karreg::builder
