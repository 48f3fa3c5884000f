import { expect, it } from "vitest";
import { withName, withoutName } from "../../src/domain/storage-messages.ts";

it.each([
  ['storage "off": the line is cut', "the line is cut"],
  ['storage "off" holds no repository yet', "it holds no repository yet"],
  ['the marker of storage "off" is damaged', 'the marker of storage "off" is damaged'],
  ['storage "offsite": the line is cut', 'storage "offsite": the line is cut'],
])("%s, after the storage was named", (message, short) => {
  expect(withoutName("off", message)).toBe(short);
});

it.each([
  ["the line is cut", 'storage "off": the line is cut'],
  ['storage "off" is full', 'storage "off" is full'],
  ['a/b in storage "off" is locked', 'a/b in storage "off" is locked'],
])("%s, with its storage named once", (message, named) => {
  expect(withName("off", message)).toBe(named);
});
