// The same for files of what links Asio: its headers want its compiled part
// (common/async/asio_impl.cpp) even unused.
#pragma once
#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast.hpp>

#include "precompiled.hpp"
