#pragma once
/// Blocking work (libvirt, libgit2, rabbitmq-c, libpqxx, files) away from the io_context.

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "common/async/asio.hpp"

namespace karreg {

/// Runs @p fn on @p pool and resumes the caller on its own executor with the result; what @p fn
/// throws is thrown there. No coroutine runs on the pool: one that is cancelled there ends the
/// program under Boost 1.81 (its entry point posts after its end). The call itself cannot be
/// cancelled: @p fn needs its own bound.
template <class Fn>
auto offload(asio::thread_pool& pool, Fn fn) -> awaitable<std::invoke_result_t<Fn&>> {
  using R = std::invoke_result_t<Fn&>;
  using Stored = std::conditional_t<std::is_void_v<R>, bool, R>;
  auto initiate = [&pool](auto handler, Fn work) {
    auto executor = asio::get_associated_executor(handler);
    auto guard = asio::make_work_guard(executor);
    asio::post(pool, [handler = std::move(handler), guard = std::move(guard),
                      work = std::move(work)]() mutable {
      std::exception_ptr failure;
      std::optional<Stored> value;
      try {
        if constexpr (std::is_void_v<R>) {
          work();
          value.emplace(true);
        } else {
          value.emplace(work());
        }
      } catch (...) {
        failure = std::current_exception();
      }
      auto to = guard.get_executor();
      asio::dispatch(to,
                     [handler = std::move(handler), failure, value = std::move(value)]() mutable {
                       std::move(handler)(failure, std::move(value));
                     });
    });
  };
  std::optional<Stored> value =
      co_await asio::async_initiate<const asio::use_awaitable_t<>,
                                    void(std::exception_ptr, std::optional<Stored>)>(
          initiate, asio::use_awaitable, std::move(fn));
  if constexpr (!std::is_void_v<R>) co_return std::move(*value);
}

}  // namespace karreg
