#pragma once
/// Ownership of what C libraries hand out.

#include <memory>

namespace karreg {

/// Calls the C function @p Free on a non-null pointer.
template <auto Free>
struct HandleDeleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};

/// unique_ptr over a C object: `using Repository = Handle<git_repository, git_repository_free>;`
template <class T, auto Free>
using Handle = std::unique_ptr<T, HandleDeleter<Free>>;

/// Passes a Handle to a C out-parameter: `git_repository_open(Out(repo), path)`. Takes over the
/// pointer when the call's full expression ends.
template <class T, class D>
class Out {
 public:
  explicit Out(std::unique_ptr<T, D>& target) : target_(target) {}
  ~Out() { target_.reset(raw_); }
  Out(const Out&) = delete;
  Out& operator=(const Out&) = delete;
  operator T**() { return &raw_; }

 private:
  std::unique_ptr<T, D>& target_;
  T* raw_ = nullptr;
};

}  // namespace karreg
