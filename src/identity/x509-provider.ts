/** What @peculiar/x509 needs before it is used; whoever imports from it imports this first. */
import 'reflect-metadata';
import { cryptoProvider } from '@peculiar/x509';

cryptoProvider.set(crypto);
