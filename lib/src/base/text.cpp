#include "avstore/text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>
#include <system_error>

#include "avstore/error.h"

namespace avstore {
namespace {

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
  throw Error(ErrorKind::invalid_argument, "'" + text + "' is " + why);
}

// from_chars() takes no plus sign.
template <typename Number>
std::optional<Number> read_number(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return number;
}

Rational reduced(std::int64_t num, std::int64_t den) {
  const std::int64_t common = std::gcd(num, den);
  return common == 0 ? Rational{0, 1} : Rational{num / common, den / common};
}

// A decimal fraction is kept exactly: 29.97 is 2997/100.
std::optional<Rational> read_decimal(const std::string& text) {
  constexpr std::size_t kMostDecimals = 6;
  const std::size_t point = std::min(text.find('.'), text.size());
  const std::string decimals = text.substr(std::min(point + 1, text.size()));
  if (decimals.size() > kMostDecimals) {
    return std::nullopt;
  }
  const auto digits = read_number<std::int64_t>(text.substr(0, point) + decimals);
  std::int64_t scale = 1;
  for (std::size_t i = 0; i < decimals.size(); ++i) {
    scale *= 10;
  }
  return digits ? std::optional(reduced(*digits, scale)) : std::nullopt;
}

std::optional<Rational> read_rate(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) {
    return read_decimal(text);
  }
  const auto num = read_number<std::int64_t>(text.substr(0, slash));
  const auto den = read_number<std::int64_t>(text.substr(slash + 1));
  if (!num || !den || *den <= 0) {
    return std::nullopt;
  }
  return reduced(*num, *den);
}

}  // namespace

Rational rate_from_text(const std::string& text) {
  constexpr std::int64_t kLargestPart = std::numeric_limits<int>::max();  // libav's own limit
  const auto rate = read_rate(text);
  if (!rate || rate->num <= 0 || rate->num > kLargestPart || rate->den > kLargestPart) {
    refuse(text, "no frame rate; write it like 25, 29.97 or 30000/1001");
  }
  return *rate;
}

std::pair<int, int> size_from_text(const std::string& text) {
  const std::size_t cross = text.find('x');
  const auto width = read_number<int>(text.substr(0, cross));
  const auto height =
      cross == std::string::npos ? std::nullopt : read_number<int>(text.substr(cross + 1));
  if (!width || !height || *width <= 0 || *height <= 0) {
    refuse(text, "no size; write WIDTHxHEIGHT in pixels, like 640x480");
  }
  return {*width, *height};
}

std::uint64_t bytes_from_text(const std::string& text) {
  constexpr std::string_view kUnits = "KMGT";
  const std::size_t unit = text.empty() ? kUnits.npos : kUnits.find(text.back());
  const bool has_unit = unit != kUnits.npos;
  const auto number = read_number<double>(text.substr(0, text.size() - (has_unit ? 1 : 0)));
  const double bytes =
      std::ldexp(number.value_or(-1), has_unit ? 10 * (static_cast<int>(unit) + 1) : 0);
  if (!(bytes >= 0) || bytes > std::ldexp(1.0, 62)) {
    refuse(text, "no number of bytes; write it like 1000, 64K, 256M, 20G or 1.5T");
  }
  return static_cast<std::uint64_t>(bytes);
}

MinFree min_free_from_text(const std::string& text) {
  if (!text.ends_with('%')) {
    return {0, bytes_from_text(text)};
  }
  const auto percent = read_number<double>(std::string_view(text).substr(0, text.size() - 1));
  if (!percent || !(*percent >= 0 && *percent < 100)) {
    refuse(text, "no part of a disk; write it like 5% or 20G, 0 for none");
  }
  return {*percent / 100, 0};
}

Timing timing_from_text(const std::string& text) {
  if (text != "nominal" && text != "real") {
    refuse(text, "no timing; there are nominal and real");
  }
  return text == "real" ? Timing::real : Timing::nominal;
}

WhenFull when_full_from_text(const std::string& text) {
  if (text != "block" && text != "drop" && text != "fail") {
    refuse(text, "neither block nor drop nor fail");
  }
  return text == "block" ? WhenFull::block : text == "drop" ? WhenFull::drop : WhenFull::fail;
}

Durability durability_from_text(const std::string& text) {
  if (text != "process" && text != "power") {
    refuse(text, "neither process nor power");
  }
  return text == "power" ? Durability::power : Durability::process;
}

FrameClock clock_from_text(const std::string& text) {
  if (text != "arrival" && text != "source") {
    refuse(text, "neither arrival nor source");
  }
  return text == "source" ? FrameClock::source : FrameClock::arrival;
}

namespace {

// A slash within a password makes no address, but it is a password all the same: what is behind the
// colon is no port then.
bool ends_within_password(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  return colon != std::string_view::npos && authority.find('@') == std::string_view::npos &&
         authority.find(']') == std::string_view::npos &&
         authority.find_first_not_of("0123456789", colon + 1) != std::string_view::npos;
}

// Whether the parameter of an address says who may look: such as password, pwd, user, token or key.
bool is_secret(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::string_view kSecrets[] = {"pass", "pwd",   "user", "usr",   "login",
                                           "auth", "token", "key",  "secret"};
  return std::any_of(std::begin(kSecrets), std::end(kSecrets), [&lower](std::string_view secret) {
    return lower.find(secret) != std::string::npos;
  });
}

// Of the address that begins at `begin`: cameras take passwords as parameters too.
void remove_secret_parameters(std::string& text, std::size_t begin) {
  const auto end_of = [&text](const char* marks, std::size_t from) {
    return std::min(text.find_first_of(marks, from), text.size());
  };
  std::size_t at = end_of("? \t\r\n", begin);
  while (at < text.size() && (text[at] == '?' || text[at] == '&')) {
    const std::size_t name = at + 1;
    const std::size_t value = end_of("=&# \t\r\n", name);
    at = end_of("&# \t\r\n", value);
    if (value < at && is_secret(std::string_view(text).substr(name, value - name))) {
      text.replace(value + 1, at - value - 1, "...");
      at = value + 4;
    }
  }
}

}  // namespace

std::string without_passwords(std::string text) {
  constexpr std::string_view kBeforeAuthority = "://";
  std::size_t at = text.find(kBeforeAuthority);
  while (at != std::string::npos) {
    at += kBeforeAuthority.size();
    const std::string_view rest = std::string_view(text).substr(at);
    std::size_t end = std::min(rest.find_first_of("/?# \t\r\n"), rest.size());
    if (ends_within_password(rest.substr(0, end))) {
      end = std::min(rest.find_first_of(" \t\r\n"), rest.size());
    }
    const std::size_t sign = rest.substr(0, end).rfind('@');
    if (sign != std::string_view::npos) {
      text.erase(at, sign + 1);
    }
    remove_secret_parameters(text, at);
    at = text.find(kBeforeAuthority, at);
  }
  return text;
}

}  // namespace avstore
