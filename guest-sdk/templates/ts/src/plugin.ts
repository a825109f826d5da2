// The plugin: each function of the exported interface is a tool. A record's
// fields and a function's name are camelCase here; an option is its value or
// undefined; `throw new Error(text)` is the error of a result.
import { emit } from 'wardroom:automation/log@0.1.0';

interface Request {
  text: string;
  minLength?: number;
}

interface Counts {
  words: number;
  characters: number;
  longest?: string;
}

const length = (word: string): number => [...word].length;

export const words = {
  count({ text, minLength }: Request): Counts {
    const counted = text.split(/\s+/).filter((word) => word !== '' && length(word) >= (minLength ?? 0));
    if (counted.length === 0) throw new Error('the text has no words');
    emit('info', `counted ${counted.length} words`);
    return {
      words: counted.length,
      characters: length(counted.join('')),
      longest: counted.reduce((longest, word) => (length(word) > length(longest) ? word : longest)),
    };
  },
};
