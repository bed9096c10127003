// SPDX-License-Identifier: GPL-2.0-or-later

// C++: an exception nobody catches, and a crash while one is in flight.

#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace shop
{
struct basket {
	std::string name;
	explicit basket(std::string n) : name(std::move(n)) {}
	~basket()
	{
		if (name == "broken")
			*static_cast<volatile int *>(nullptr) = 1;
	}
	template <typename T> __attribute__((noinline)) void add(const T &value)
	{
		if (name == "cursed")
			throw std::out_of_range("no room for " + std::to_string(value.size()));
		items.push_back(value);
	}
	std::vector<std::string> items;
};

__attribute__((noinline)) void buy(const std::string &name)
{
	basket outer(name), inner("cursed");
	inner.add(std::string("apple"));
}
}

__attribute__((noinline)) static void run(const std::string &how)
{
	std::map<int, std::string> map{ { 1, how } };
	for (auto &entry : map)
		shop::buy(entry.second);
}

int main(int argc, char **argv)
{
	std::string how = argc > 1 ? argv[1] : "";
	if (how == "throw") {
		run("empty");
	} else if (how == "flight") {
		try {
			run("broken");
		} catch (const std::exception &) {
			return 1;
		}
	}
	return 1;
}
