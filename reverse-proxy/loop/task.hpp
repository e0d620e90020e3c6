#pragma once
/// Coroutines of one thread: no executor, no locks.

#include <array>
#include <coroutine>
#include <exception>
#include <new>
#include <optional>
#include <utility>

namespace karreg::proxy {

template <class T>
class Task;

namespace detail {

/// Memory of coroutines that have ended, kept by its thread for the next ones: a request runs ten
/// of them, and malloc() has a fast way for small ones only.
class FrameMemory {
 public:
  static void* take(std::size_t bytes) {
    auto* list = list_of(bytes);
    if (list == nullptr || list->first == nullptr) return ::operator new(rounded(bytes));
    auto* frame = list->first;
    list->first = frame->next;
    --list->size;
    return frame;
  }
  static void give_back(void* memory, std::size_t bytes) noexcept {
    auto* list = list_of(bytes);
    if (list == nullptr || list->size == most_kept) return ::operator delete(memory);
    list->first = ::new (memory) Free{list->first};
    ++list->size;
  }

 private:
  static constexpr std::size_t step = 16;
  static constexpr std::size_t classes = 256;  ///< larger frames are not kept
#if __has_feature(address_sanitizer)
  static constexpr int most_kept = 0;  ///< so that a use after the end is seen
#else
  static constexpr int most_kept = 128;  ///< of each class
#endif
  struct Free {
    Free* next;
  };
  struct List {
    Free* first = nullptr;
    int size = 0;
  };
  struct Lists {
    std::array<List, classes> all;
    Lists() = default;
    Lists(const Lists&) = delete;
    Lists& operator=(const Lists&) = delete;
    ~Lists() {
      for (auto& list : all) {
        while (list.first != nullptr)
          ::operator delete(std::exchange(list.first, list.first->next));
        list.size = most_kept;  // what ends after this is not kept
      }
    }
  };
  static std::size_t rounded(std::size_t bytes) { return (bytes + step - 1) / step * step; }
  static List* list_of(std::size_t bytes) noexcept {
    static thread_local Lists lists;
    const auto index = (bytes - 1) / step;
    return index < classes ? &lists.all[index] : nullptr;
  }
};

struct PromiseBase {
  static void* operator new(std::size_t bytes) { return FrameMemory::take(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    FrameMemory::give_back(memory, bytes);
  }
  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      return ended.promise().awaiting;
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { failure = std::current_exception(); }
  void rethrow() const {
    if (failure) std::rethrow_exception(failure);
  }

  std::coroutine_handle<> awaiting = std::noop_coroutine();
  std::exception_ptr failure;
};

template <class T>
struct Promise : PromiseBase {
  Task<T> get_return_object();
  template <class From>
  void return_value(From&& from) {
    value.emplace(std::forward<From>(from));
  }
  T take() {
    rethrow();
    return std::move(*value);
  }
  std::optional<T> value;
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const { rethrow(); }
};

}  // namespace detail

/// A coroutine that begins when it is awaited, on the thread that awaits it, and ends before what
/// awaited it goes on. What it throws, the awaiting coroutine throws.
template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;

  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().awaiting = awaiting;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

template <class T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

/// Begins at once, belongs to nobody, and lets go on what its return value names.
struct Started {
  struct promise_type {
    struct Final {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(
          std::coroutine_handle<promise_type> ended) const noexcept {
        const auto then = ended.promise().next;
        ended.destroy();
        return then;
      }
      void await_resume() const noexcept {}
    };
    Started get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    Final final_suspend() const noexcept { return {}; }
    void return_value(std::coroutine_handle<> then) noexcept { next = then; }
    void unhandled_exception() const noexcept { std::terminate(); }
    std::coroutine_handle<> next = std::noop_coroutine();
  };
};

}  // namespace detail

/// `co_await Both(a(), b())` runs two tasks side by side and returns when both have ended; throws
/// what the first that failed has thrown.
class [[nodiscard]] Both {
 public:
  Both(Task<void> a, Task<void> b) : a_(std::move(a)), b_(std::move(b)) {}
  Both(const Both&) = delete;
  Both& operator=(const Both&) = delete;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> awaiting) {
    run(a_, *this);
    run(b_, *this);
    if (running_ == 0) return false;
    awaiting_ = awaiting;
    return true;
  }
  void await_resume() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  static detail::Started run(Task<void>& task, Both& both) {
    try {
      co_await task;
    } catch (...) {
      if (!both.failure_) both.failure_ = std::current_exception();
    }
    co_return --both.running_ == 0 ? both.awaiting_ : std::noop_coroutine();
  }

  Task<void> a_;
  Task<void> b_;
  int running_ = 2;
  std::coroutine_handle<> awaiting_ = std::noop_coroutine();
  std::exception_ptr failure_;
};

}  // namespace karreg::proxy
